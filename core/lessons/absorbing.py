"""MLA's two forms on one text: keys and values expanded from the latent, or attention in latent space ("absorbed").

The paper's absorption is that matrix products may be bracketed otherwise: (W^UK c)·q = c·(W^UK^T q), section 2.1.2 of
DeepSeek-V2 (arXiv 2405.04434). No product of two weight matrices is kept; W^UK and W^UV stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.attention import MLA
from headlight.core.attention.base import Params, linear
from headlight.core.attention.mla import mla_of
from headlight.core.cache import DecodingCache, KVCache
from headlight.core.errors import ConfigError
from headlight.core.lessons.shift import Later
from headlight.core.memory.decode_cost import StepCost, ways
from headlight.core.memory.shape import MLADims, of_mla
from headlight.core.model import Model
from headlight.core.positions import Position
from headlight.core.types import Run, Step

# Form, as in `headlight.core.memory.decode_cost.ways` -> what a decoder that uses it keeps and does.
FORMS: Mapping[str, str] = {
    "absorbed": "latents are kept, and nothing is expanded",
    "full": "keys and values of all heads are expanded once, and kept",
    "expanded": "latents are kept, and all of them expanded anew at each step",
}
# Sizes of published layers (their config.json): DeepSeek-V2-Lite does not compress queries.
PUBLISHED: Mapping[str, MLA] = {
    "DeepSeek-V2-Lite": MLA(2048, 16, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128),
    "DeepSeek-V3": MLA(
        7168, 128, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, q_lora_rank=1536
    ),
}
SAME = ("scores", "weights", "heads", "out")  # what both forms compute
MOST = 65_536  # tokens of context at most for a measurement
_BLOCK = 4096  # tokens projected at once


@dataclass(frozen=True)
class LatentLayer:
    """One MLA layer and what one text puts into it: h (seq, d_model), after the block's norm."""

    attention: MLA
    params: Params
    position: Position
    h: Float[Tensor, "seq d_model"]

    def to(self, dtype: torch.dtype) -> LatentLayer:
        """The same in another precision, on the CPU: not every device has float64."""
        params = {name: t.detach().cpu().to(dtype) for name, t in self.params.items()}
        return replace(self, params=params, h=self.h.cpu().to(dtype))

    def expanded(self) -> tuple[Step, ...]:
        """All lines of the form to read: keys and values expanded."""
        return self.attention.attend(self.h, self.params, self.position).steps

    def absorbed(self) -> tuple[Step, ...]:
        """All lines of the form to decode with: what both have before the up-projections, then latent space."""
        p = self.attention.project(self.h, self.params, self.position, KVCache())
        before = ("h", "c_q", "q_nope", "q_rope", "c_kv", "k_rope")
        shared = tuple(step for step in p.steps if step.name in before)
        return shared + self.attention.absorbed_steps(p.q, p.cache, p.q_pos, p.position, self.params)


@torch.inference_mode()
def layer_of(model: Model, run: Run, layer: int) -> LatentLayer:
    """A layer of a model and its input in a run; raises InputError where the model has no latent."""
    attention = mla_of(model.attention, model.title)
    steps = {step.name: step.value for step in run.layers.projections(layer).steps}
    return LatentLayer(attention, model.layers[layer], model.position, steps["h"])


@dataclass(frozen=True)
class Difference:
    """Of one step that both forms compute: the largest difference of a number, and the largest number."""

    largest: float
    size: float


@torch.inference_mode()
def differences(layer: LatentLayer, dtype: torch.dtype) -> dict[str, Difference]:
    """Both forms, computed in one precision and compared number by number; cells that may not be seen are left out."""
    cast = layer.to(dtype)
    one, other = ({s.name: s.value for s in steps} for steps in (cast.expanded(), cast.absorbed()))
    seen = one["masked"] > float("-inf")
    cells = {"scores": seen, "weights": seen}
    found = {}
    for name in SAME:
        apart, size = (one[name] - other[name]).abs(), one[name].abs()
        where = cells.get(name, torch.ones_like(apart, dtype=torch.bool))
        found[name] = Difference(float(apart[where].max()), float(size[where].max()))
    return found


def both_precisions(layer: LatentLayer) -> tuple[dict[str, Difference], dict[str, Difference]]:
    """`differences` in float32 and in float64."""
    return differences(layer, torch.float32), differences(layer, torch.float64)


def costs(attention: MLA, context: int) -> dict[str, StepCost]:
    """What each form does for one new token that sees `context` tokens, itself included, in one layer, at 2 bytes per value.

    >>> {form: round(cost.flops / 1e9, 1) for form, cost in costs(PUBLISHED["DeepSeek-V3"], 131_072).items()}
    {'absorbed': 36.5, 'full': 10.7, 'expanded': 4408.8}
    """
    a = attention
    dims = MLADims(a.kv_lora_rank, a.qk_nope_head_dim, a.qk_rope_head_dim, a.v_head_dim, a.q_lora_rank)
    found = ways(replace(of_mla(1, a.n_heads, dims), d_model=a.d_model), n_kv_heads=1)
    return {form: found[form].cost(context) for form in FORMS}


@torch.inference_mode()
def decoders(layer: LatentLayer, context: int) -> dict[str, Callable[[], Tensor]]:
    """Each form's decoding step, to be timed in inference mode: one new token that sees `context` tokens, itself included.

    The remembered tokens are the text's own, over and over; the new one is its last. Each call does the layer's whole
    attention, projections and W_O included, and leaves the cache as it found it. All return the same output. Raises
    ConfigError for a context that is none or too long.
    """
    if not 2 <= context <= MOST:
        raise ConfigError(f"context ({context:,}) must be from 2 to {MOST:,} tokens")
    latents, keys_values = _remembered(layer, context)
    x, a = layer.h[-1:], layer.attention

    def absorbed() -> Tensor:
        latents.length = context - 1
        return a.step(x, layer.params, layer.position, latents)

    def full() -> Tensor:
        keys_values.length = context - 1
        return _step_with_kept(layer, x, keys_values)

    def expanded() -> Tensor:
        latents.length = context - 1
        return a.fused(a.project(x, layer.params, layer.position, latents), layer.params)

    return {"absorbed": absorbed, "full": full, "expanded": expanded}


def _remembered(layer: LatentLayer, context: int) -> tuple[DecodingCache, DecodingCache]:
    """What the forms keep of all tokens but the new one: latents; keys and values."""
    latents, keys_values = DecodingCache(context), DecodingCache(context)
    h = layer.h.repeat(-(-context // len(layer.h)), 1)[: context - 1]
    for some in h.split(_BLOCK):
        p = layer.attention.project(some, layer.params, Later(layer.position, latents.length), KVCache())
        latents.extend(**p.cache.tensors)
        keys_values.extend(k=p.k, v=p.v)
    return latents, keys_values


def _step_with_kept(layer: LatentLayer, x: Tensor, past: DecodingCache) -> Tensor:
    new = layer.attention.project(x, layer.params, Later(layer.position, past.length), KVCache())
    now = past.extend(k=new.k, v=new.v).tensors
    scores = new.q @ now["k"].transpose(-1, -2) * (layer.attention.scale * layer.position.score_scale)
    # The newest token sees all that is kept, so there is nothing to mask.
    return linear((scores.softmax(-1) @ now["v"]).transpose(0, 1).flatten(1), layer.params, "o_proj")
