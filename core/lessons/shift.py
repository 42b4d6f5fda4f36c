"""The shift test: all positions some places later. What depends on distance alone does not notice (Su et al. 2021, eq. 16).

With MLA's decoupled RoPE it holds, since q = [q^C; q^R] and k = [k^C; k^R] are put together after the up-projection. In an
order that is often told, the rotated vector is put beside the latent *before* the up-projection, which then mixes turned
dimensions with plain ones, and the scores depend on where a text begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.attention import MLA
from headlight.core.attention.base import Attention, Params
from headlight.core.attention.mla import mla_of
from headlight.core.cache import KVCache
from headlight.core.errors import InputError
from headlight.core.model import Model, embed
from headlight.core.positions import Position
from headlight.core.types import Projections, Tokens

Order = Callable[[Projections], Projections]


@dataclass(frozen=True)
class Later(Position):
    """Another encoding that reads every position as `by` later."""

    inner: Position
    by: int

    def at_qk(
        self, t: Float[Tensor, "heads seq head_dim"], pos: Int[Tensor, " seq"]
    ) -> Float[Tensor, "heads seq head_dim"]:
        """Queries or keys with later positions in them."""
        return self.inner.at_qk(t, pos + self.by)

    @property
    def score_scale(self) -> float:
        """The inner encoding's."""
        return self.inner.score_scale


@dataclass(frozen=True)
class LayerInput:
    """One MLA layer and what goes into it, h (seq, d_model) after the block's norm."""

    attention: Attention
    params: Params
    position: Position
    h: Float[Tensor, "seq d_model"]

    def project(self, by: int = 0) -> Projections:
        """Queries, keys and values with all positions `by` later."""
        return self.attention.project(self.h, self.params, Later(self.position, by), KVCache())

    def scores(self, by: int, order: Order) -> Float[Tensor, "n_heads q_len kv_len"]:
        """Scores with all positions `by` later, keys put together in an order; cells that may not be seen are NaN."""
        p = order(self.project(by))
        trace = self.attention.trace(p, self.params)
        return trace.scores.masked_fill(~trace.mask, float("nan"))

    def weights(self, by: int, order: Order) -> Float[Tensor, "n_heads q_len kv_len"]:
        """Attention weights with all positions `by` later; cells that may not be seen are NaN."""
        trace = self.attention.trace(order(self.project(by)), self.params)
        return trace.weights.masked_fill(~trace.mask, float("nan"))

    def moved(self, by: int) -> dict[str, Float[Tensor, "n_heads width"]]:
        """For query, key and value: how far each dimension goes when all positions are `by` later, mean over tokens."""
        now, later = self.project(0), self.project(by)
        return {name: (getattr(later, name) - getattr(now, name)).abs().mean(1) for name in ("q", "k", "v")}


def after_up_projection(p: Projections) -> Projections:
    """The order of the paper (eqs 14-16), and of our attention: nothing is changed."""
    return p


def before_up_projection(mixing: Float[Tensor, "n_heads latent qk_head_dim"]) -> Order:
    """The often told order: keys are made from [c_kv; k_rope] by one up-projection, `mixing`, which reads both."""

    def order(p: Projections) -> Projections:
        both = torch.cat([p.cache.tensors["c_kv"], p.cache.tensors["k_rope"]], dim=-1)
        return replace(p, k=both @ mixing)

    return order


def mixing(attention: MLA, params: Params, seed: int = 0) -> Float[Tensor, "n_heads latent qk_head_dim"]:
    """An up-projection for the often told order: the trained W^UK where there is one, random numbers as large elsewhere.

    Nobody trained such a model, so the rows that read the rotated key, and the columns that the rotated key used to fill,
    have no weights of their own.
    """
    trained = params["kv_b_proj.weight"].unflatten(0, (attention.n_heads, -1))[:, : attention.qk_nope_head_dim]
    shape = (attention.n_heads, attention.cached_elements_per_token(), attention.head_dim)
    chance = torch.Generator().manual_seed(seed)
    mixed = torch.randn(*shape, generator=chance, dtype=torch.float64) * trained.std()
    mixed[:, : attention.kv_lora_rank, : attention.qk_nope_head_dim] = trained.transpose(1, 2)
    return mixed.to(trained.dtype)


@torch.inference_mode()
def layer_of(model: Model, tokens: Tokens, layer: int) -> LayerInput:
    """A layer of a model and what a text puts into it, in float64 from there on; raises InputError where it is not MLA."""
    attention = mla_of(model.attention, model.title)
    if not 0 <= layer < model.n_layers:
        raise InputError(f"layer {layer} of {model.title} is no MLA layer")
    params = {name: t.detach().cpu().double() for name, t in model.layers[layer].items()}
    return LayerInput(attention, params, model.position, _input(model, tokens, layer).cpu().double())


def _input(model: Model, tokens: Tokens, layer: int) -> Tensor:
    x, caught = embed(model, torch.tensor(tokens.ids, device=model.device)), []
    for params in model.layers[: layer + 1]:

        def attend(h: Tensor, params: Params = params) -> Tensor:
            caught.append(h)
            return model.attention.fused(model.attention.project(h, params, model.position, KVCache()), params)

        x = model.block(x, params, attend)
    return caught[-1]


def changes(layer: LayerInput, order: Order, shifts: Sequence[int]) -> Float[Tensor, "shifts n_heads"]:
    """The largest change of a score in each head, for several shifts."""
    now = layer.scores(0, order)
    return torch.stack([largest(layer.scores(by, order) - now) for by in shifts])


def largest(change: Float[Tensor, "n_heads q_len kv_len"]) -> Float[Tensor, " n_heads"]:
    """The largest change in each head, of either sign; NaN counts as none."""
    return change.nan_to_num(0.0).abs().flatten(1).amax(1)
