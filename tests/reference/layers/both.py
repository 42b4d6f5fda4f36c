"""One attention layer of `transformers` with random weights, read at once or bit by bit, and ours beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from headlight.core.attention import Attention
from headlight.core.cache import DecodingCache, KVCache
from headlight.core.positions import Position
from headlight.core.types import Trace
from tests.core.variants import random
from tests.reference.float64 import float64_oracle
from tests.threads import one_thread

TOLERANCE = 1e-10


class Oracle:
    """A layer of `transformers` in float64 with its own cache.

    make(config) builds the layer, rotary(config) what turns its queries and keys; modules: their source modules, where
    float32 is to mean float64. mask(q_len, kv_len) is what is added to the scores.
    """

    def __init__(
        self,
        make: Callable[[Any], nn.Module],
        config: Any,
        *modules: ModuleType,
        rotary: Callable[[Any], nn.Module] | None = None,
        mask: Callable[[int, int], Tensor | None] | None = None,
    ) -> None:
        config._attn_implementation = "eager"
        self._modules, self._mask, self.length = modules, mask or causal_mask, 0
        with float64_oracle(*modules), torch.no_grad():
            self.layer, self._rotary = make(config).double().eval(), rotary(config) if rotary else None
            self.cache = DynamicCache(config=config)
            for seed, parameter in enumerate(self.layer.parameters()):
                parameter.copy_(random(*parameter.shape, seed=seed) / 4)
        self.params = {name: parameter.detach() for name, parameter in self.layer.named_parameters()}

    def read(self, x: Tensor, start: int = 0, **more: Any) -> tuple[Tensor, Tensor]:
        """Output (q_len, d_model) and weights (n_heads, q_len, kv_len) of some more tokens, the first at `start`."""
        self.length += len(x)
        with float64_oracle(*self._modules), torch.no_grad():
            if self._rotary is not None:
                more["position_embeddings"] = self._rotary(x[None], torch.arange(start, start + len(x))[None])
            mask = self._mask(len(x), self.length)
            out, weights = self.layer(x[None], attention_mask=mask, past_key_values=self.cache, **more)[:2]
        return out[0], weights[0]

    def kept(self, layer: int = 0) -> tuple[Tensor, Tensor]:
        """The two tensors that its cache holds of a layer."""
        return self.cache.layers[layer].keys[0], self.cache.layers[layer].values[0]


def causal_mask(q_len: int, kv_len: int) -> Tensor:
    """What is added to the scores of the last q_len of kv_len tokens."""
    return torch.full((1, 1, q_len, kv_len), float("-inf"), dtype=torch.float64).triu(1 + kv_len - q_len)


def same(ours: Tensor, theirs: Tensor, tolerance: float = TOLERANCE) -> None:
    """Asserts equal shapes and precisions, and numbers that differ by less than the tolerance."""
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)


@one_thread()
def read_both(
    attention: Attention, position: Position, params: dict[str, Tensor], oracle: Oracle, x: Tensor,
    sizes: Iterable[int], start: int = 0,
) -> Trace:  # fmt: skip
    """Asserts that both layers agree on outputs and weights while x arrives in pieces; our last trace.

    Ours is asked in every way it has: traced, row by row, fused, and as a decoder steps with its buffers.
    """
    end, kept, buffers, trace = 0, KVCache(), DecodingCache(2), None
    for size in sizes:
        begin, end = end, end + size
        out, weights = oracle.read(x[begin:end], start + begin)
        projections = attention.project(x[begin:end], params, position, kept)
        trace = attention.trace(projections, params)
        same(trace.weights, weights)
        same(trace.out, out)
        same(attention.rows(projections, slice(0, 1)), weights[:, :1])
        same(attention.fused(projections, params), out)
        same(attention.step(x[begin:end], params, position, buffers), out)
        kept = trace.cache
    assert end == len(x) == kept.length == buffers.length
    assert trace is not None
    for name, tensor in kept.tensors.items():
        same(buffers.tensors[name], tensor)
    return trace
