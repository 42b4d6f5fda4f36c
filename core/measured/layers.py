"""Single layers with a full cache and random weights, ready for one decoding step after another.

Random numbers do: the arithmetic does not care. A step leaves its cache as long as it found it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from headlight.core.attention import GQA, MHA, MLA, MQA, Attention
from headlight.core.attention.base import Params
from headlight.core.cache import DecodingCache
from headlight.core.errors import ConfigError, UnknownNameError
from headlight.core.positions import Position, RoPE

Step = Callable[[], Tensor]
_PIECE = 1024  # tokens written into a cache at once


@dataclass(frozen=True)
class TimedLayer:
    """One way to attend. expand: MLA whose keys and values are made anew from the latents at each step."""

    title: str
    attention: Attention
    position: Position
    expand: bool = False

    def kept(self, length: int, element: int = 4) -> int:
        """Bytes that `length` tokens take in the cache, `element` bytes per value."""
        return self.attention.cached_elements_per_token() * length * element

    def needed(self, length: int, element: int = 4) -> int:
        """Bytes that a step at `length` tokens needs at most: the cache and, expanded, keys and values of every head."""
        own = self.attention
        wide = own.n_heads * own.head_dim if self.expand else 0
        return self.kept(length, element) + 4 * wide * length * element


def layers(latent: MLA, n_kv_heads: int) -> Mapping[str, TimedLayer]:
    """Five ways to attend with the widths of one MLA layer: mha, gqa (of n_kv_heads), mqa, expanded, absorbed."""
    d, n, width = latent.d_model, latent.n_heads, latent.v_head_dim
    turned, rotary = RoPE(width), RoPE(latent.qk_rope_head_dim, layout="interleaved")
    return {
        "mha": TimedLayer(f"MHA, {n} heads", MHA(d, n, width), turned),
        "gqa": TimedLayer(f"GQA, {n_kv_heads} KV heads", GQA(d, n, width, n_kv_heads=n_kv_heads), turned),
        "mqa": TimedLayer("MQA", MQA(d, n, width), turned),
        "expanded": TimedLayer("MLA re-expanded", latent, rotary, expand=True),
        "absorbed": TimedLayer("MLA absorbed", latent, rotary),
    }


SIZES: Mapping[str, Mapping[str, TimedLayer]] = {
    "sibling": layers(MLA(192, 6, kv_lora_rank=128, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32), 2),
    "v2-lite": layers(MLA(2048, 16, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128), 4),
}
"""Layers of our siblings' sizes and of DeepSeek-V2-Lite's (without query compression, as it has none)."""


def of_size(name: str) -> Mapping[str, TimedLayer]:
    """The layers of a size in SIZES; raises UnknownNameError with the names there are."""
    if name not in SIZES:
        raise UnknownNameError(f"no layer sizes are called {name!r}; there are {', '.join(SIZES)}")
    return SIZES[name]


def random_params(layer: TimedLayer, like: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights small enough that nothing overflows, in the precision and on the device of `like`."""
    scale = layer.attention.d_model**-0.5
    return {name: _noise(like, shape, generator) * scale for name, shape in layer.attention.shapes().items()}


def filled(layer: TimedLayer, params: Params, length: int, generator: torch.Generator) -> DecodingCache:
    """A cache that remembers `length` random tokens and has room for one more; raises ConfigError below 1."""
    if length < 1:
        raise ConfigError(f"length ({length}) must be at least one token")
    like = next(iter(params.values()))
    x = _noise(like, (1, layer.attention.d_model), generator)
    # One token is enough to know the shapes; the numbers are noise anyway.
    one = layer.attention.project(x, params, layer.position, DecodingCache(1)).cache.tensors
    cache = DecodingCache(capacity=length + 1)
    while cache.length < length:
        more = min(_PIECE, length - cache.length)
        cache.extend(**{n: _noise(like, (*t.shape[:-2], more, t.shape[-1]), generator) for n, t in one.items()})
    return cache


def stepper(layer: TimedLayer, params: Params, cache: DecodingCache, generator: torch.Generator) -> Step:
    """One decoding step that leaves the cache as long as it found it."""
    attention, position, length = layer.attention, layer.position, cache.length
    x = _noise(next(iter(params.values())), (1, attention.d_model), generator)

    def step() -> Tensor:
        cache.length = length
        if layer.expand:
            return attention.fused(attention.project(x, params, position, cache), params)
        return attention.step(x, params, position, cache)

    return step


def _noise(like: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device).normal_(generator=generator)
