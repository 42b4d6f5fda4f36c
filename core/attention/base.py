"""The contract of every attention variant, and the scaled dot product they share (Vaswani et al. 2017, section 3.2).

A variant says how queries, keys and values are made (`project`) and which parameters that takes (`shapes`). What
happens next is the same for all: `trace` shows every number, `fused` runs the same mathematics without keeping them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from headlight.core.cache import Cache, KVCache
from headlight.core.errors import ConfigError
from headlight.core.memory.shape import CacheRow
from headlight.core.positions.base import Position
from headlight.core.types import Projections, Trace, positions

Params = Mapping[str, Tensor]


@dataclass(frozen=True)
class Attention(ABC):
    """The configuration of one attention layer; it is also the object that runs it.

    d_model: width of the residual stream; n_heads: query heads; head_dim: width of a head (an independent choice, not
    d_model / n_heads); causal: whether a token sees only itself and earlier ones; bias: whether projections have one.
    """

    d_model: int
    n_heads: int
    head_dim: int
    causal: bool = True
    bias: bool = False

    def __post_init__(self) -> None:
        for name in ("d_model", "n_heads", "head_dim"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} ({getattr(self, name)}) must be positive")

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameter name -> shape, named and laid out as in `transformers` ([out, in])."""

    @abstractmethod
    def project(
        self, x: Float[Tensor, "q_len d_model"], params: Params, position: Position, past: Cache
    ) -> Projections:
        """Queries, keys and values of x, positions in them, the remembered tokens of `past` first among keys and values."""

    @abstractmethod
    def cache_row(self) -> CacheRow:
        """What a decoder keeps per token per layer, tensor by tensor, named as `project` and `step` hand it to the cache."""

    def cached_elements_per_token(self) -> int:
        """Elements that a decoder keeps per token per layer."""
        return self.cache_row().elements

    @property
    def n_kv_heads(self) -> int:
        """Heads of the keys and values that queries read, made from what is kept; it divides n_heads."""
        return self.n_heads

    @property
    def v_head_dim(self) -> int:
        """Width of a head's value."""
        return self.head_dim

    @property
    def rotary_width(self) -> int:
        """Dimensions of a head's query and key that `Position.at_qk` is given, in which RoPE turns pairs."""
        return self.head_dim

    @property
    def scale(self) -> float:
        """The factor on q·k before the softmax: 1 / sqrt(head_dim)."""
        return self.head_dim**-0.5

    def allowed(self, q_pos: Int[Tensor, " q_len"], k_pos: Int[Tensor, " kv_len"]) -> Bool[Tensor, "q_len kv_len"]:
        """True where a query at q_pos may look at a key at k_pos. A sliding window overrides only this."""
        if self.causal:
            return k_pos[None, :] <= q_pos[:, None]
        return torch.ones(len(q_pos), len(k_pos), dtype=torch.bool, device=q_pos.device)

    def attend(
        self, x: Float[Tensor, "q_len d_model"], params: Params, position: Position, past: Cache | None = None
    ) -> Trace:
        """One attention layer over x, with every number on the way kept."""
        return self.trace(self.project(x, params, position, past or KVCache()), params)

    def trace(self, p: Projections, params: Params) -> Trace:
        """From queries, keys and values to the output: softmax(q kᵀ · scale) v, eq. 1, head by head."""
        mask = self.allowed(p.q_pos, p.k_pos)
        scores = self._scores(p, slice(None))
        weights = masked_softmax(scores, mask)
        heads = weights @ self._per_query_head(p.v)
        return Trace(
            q=p.q, k=p.k, v=p.v, scores=scores, weights=weights, mask=mask, heads=heads, out=self._output(heads, params),
            scale=self._scale(p), cache=p.cache, projections=p.steps,
        )  # fmt: skip

    def rows(self, p: Projections, queries: slice) -> Float[Tensor, "n_heads q_len kv_len"]:
        """The weights of some queries in every head: rows of `trace(...).weights`, at the cost of those rows."""
        return masked_softmax(self._scores(p, queries), self.allowed(p.q_pos[queries], p.k_pos))

    def fused(self, p: Projections, params: Params) -> Float[Tensor, "q_len d_model"]:
        """The output of `trace` through torch's fused attention, which never holds the weights."""
        mask = self.fused_mask(p)
        # A square causal mask may be left to the kernel; with remembered tokens its corner would be the wrong one.
        causal = mask is None and self.causal and len(p.q_pos) > 1
        return self._output(fused_heads(p.q, p.k, p.v, mask, causal, self._scale(p)), params)

    def step(
        self, x: Float[Tensor, "q_len d_model"], params: Params, position: Position, past: Cache
    ) -> Float[Tensor, "q_len d_model"]:
        """The layer's output in decoding, by the cheapest way this variant has; `past` may be extended in place.

        A first long text is cheaper expanded (`project`); for a token or a few, what absorbs attends to the remembered
        numbers themselves.
        """
        if past.length and self.absorbs(position):
            return self._absorbed_step(x, params, position, past)[1]
        return self.fused(self.project(x, params, position, past), params)

    def watched(
        self, x: Float[Tensor, "q_len d_model"], params: Params, position: Position, past: Cache
    ) -> tuple[Float[Tensor, "q_len d_model"], Float[Tensor, "n_heads kv_len"]]:
        """`step`, and the weights of the last token of x beside its output, over the same cache."""
        if past.length and self.absorbs(position):
            weights, out = self._absorbed_step(x, params, position, past)
            return out, weights[:, -1]
        p = self.project(x, params, position, past)
        return self.fused(p, params), self.rows(p, slice(len(x) - 1, len(x)))[:, 0]

    def absorbs(self, position: Position) -> bool:
        """Whether a decoder may attend to what is remembered as it is, without expanding keys and values from it.

        Only a variant that remembers a latent can (DeepSeek-V2, arXiv 2405.04434, section 2.1.2); it makes `_absorbed_step`.
        """
        return False

    def absorbed(
        self,
        q: Float[Tensor, "n_heads q_len qk_head_dim"],
        cache: Cache,
        q_pos: Int[Tensor, " q_len"],
        position: Position,
        params: Params,
    ) -> tuple[Float[Tensor, "n_heads q_len kv_len"], Float[Tensor, "q_len d_model"]]:
        """Weights and output of queries, as `project` makes them, that attend to what is remembered as it is.

        Raises ConfigError where `absorbs` says no.
        """
        raise ConfigError(f"{type(self).__name__} expands nothing, so there is nothing to absorb")

    def _absorbed_step(self, x: Tensor, params: Params, position: Position, past: Cache) -> tuple[Tensor, Tensor]:
        """Weights (n_heads, q_len, kv_len) and output (q_len, d_model) of x over the cache, which it extends."""
        raise NotImplementedError(f"{type(self).__name__} expands nothing, so there is nothing to absorb")

    def _scores(self, p: Projections, queries: slice) -> Float[Tensor, "n_heads q_len kv_len"]:
        scores = p.q[:, queries] @ self._per_query_head(p.k).transpose(-1, -2) * self._scale(p)
        return p.position.at_scores(scores, p.q_pos[queries], p.k_pos)

    def _scale(self, p: Projections) -> float:
        return self.scale * p.position.score_scale

    def _per_query_head(self, t: Float[Tensor, "n_kv_heads kv_len width"]) -> Float[Tensor, "n_heads kv_len width"]:
        # Repeat each KV head for its neighbours (0, 0, 1, 1), never tile (0, 1, 0, 1).
        return t.repeat_interleave(self.n_heads // t.shape[0], dim=0)

    def fused_mask(self, p: Projections) -> Tensor | None:
        """Where fused attention may look, or what it adds to the scores: (q_len, kv_len), or one a head.

        None where the kernel's own causal triangle will do, or where all is allowed.
        """
        square = len(p.q_pos) == len(p.k_pos)
        if p.position.biases_scores:
            zeros = torch.zeros(self.n_heads, len(p.q_pos), len(p.k_pos), dtype=p.q.dtype, device=p.q.device)
            bias = p.position.at_scores(zeros, p.q_pos, p.k_pos)
            return bias.masked_fill(~self.allowed(p.q_pos, p.k_pos), float("-inf"))
        windowed = type(self).allowed is not Attention.allowed
        # One new token sees all that is remembered: no mask is needed for it.
        needed = windowed or (self.causal and not square and len(p.q_pos) > 1)
        return self.allowed(p.q_pos, p.k_pos) if needed else None

    def _output(
        self, heads: Float[Tensor, "n_heads q_len v_head_dim"], params: Params
    ) -> Float[Tensor, "q_len d_model"]:
        return linear(heads.transpose(0, 1).flatten(1), params, "o_proj")


def fused_heads(
    q: Float[Tensor, "*batch n_heads q_len qk_head_dim"],
    k: Float[Tensor, "*batch n_kv_heads kv_len qk_head_dim"],
    v: Float[Tensor, "*batch n_kv_heads kv_len v_head_dim"],
    mask: Tensor | None,
    causal: bool,
    scale: float,
) -> Float[Tensor, "*batch n_heads q_len v_head_dim"]:
    """softmax(q kᵀ · scale + mask) v by torch's fused attention. causal: the square triangle, left to the kernel.

    mask: True where a query may look, or numbers to add; (q_len, kv_len) or one a head. batch: one axis of texts, or none.
    """
    if q.dim() == 3:  # the kernel takes four axes
        return fused_heads(q[None], k[None], v[None], mask, causal, scale)[0]
    width = v.shape[-1]
    # Where values are narrower or wider than queries and keys (MLA), torch would fall back to holding all weights.
    wide = max(width, q.shape[-1])
    q, k, v = (F.pad(t, (0, wide - t.shape[-1])) if t.shape[-1] < wide else t for t in (q, k, v))
    if mask is not None and mask.dim() == 3:
        mask = mask[None]  # the kernel takes two axes or four
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    )[..., :width]


def linear(x: Float[Tensor, "*lead in_dim"], params: Params, name: str) -> Float[Tensor, "*lead out_dim"]:
    """x Wᵀ + b with the parameters `name`.weight [out, in] and, where there is one, `name`.bias."""
    return F.linear(x, params[f"{name}.weight"], params.get(f"{name}.bias"))


def query_positions(x: Tensor, past: Cache) -> Int[Tensor, " q_len"]:
    """The positions of x, which follow the remembered tokens."""
    return positions(past.length, x.shape[0], x.device)


def masked_softmax(
    scores: Float[Tensor, "n_heads q_len kv_len"], mask: Bool[Tensor, "q_len kv_len"]
) -> Float[Tensor, "n_heads q_len kv_len"]:
    """Softmax over the allowed keys; a row that may see nothing is all zeros."""
    if bool(mask.all()):
        return scores.softmax(-1)
    # As in torch's fused attention; a bare softmax would make such a row NaN.
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return weights if bool(mask.any(-1).all()) else weights.nan_to_num(0.0)
