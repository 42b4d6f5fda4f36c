"""What one attention layer of somebody else's model hands over: q, k, v and every rule its softmax follows.

The arithmetic is that of `core.attention.base`, with two additions that our own variants do not have: a soft cap on the
scores, s = c tanh(s / c) (Gemma 2, arXiv 2408.00118, section 2), and a sink, a learned logit a head that joins the
softmax's denominator and is then dropped, so that rows sum to less than 1 (gpt-oss; Xiao et al. 2023, arXiv 2309.17453).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from headlight.core.attention.base import fused_heads, masked_softmax
from headlight.core.cache import KVCache
from headlight.core.positions import Position
from headlight.core.types import Projections, Step, Trace, positions

_SLAB = 256  # query rows at a time where fused attention cannot be used


@dataclass(frozen=True, eq=False)
class CapturedCall:
    """One layer's queries, keys and values, in the shapes of `headlight.core.types`, and the rules of its softmax.

    mask (q_len, kv_len): True where a query may look, None where all may; causal: None stands for the causal triangle;
    scale: the factor on q·k; bias: what is added to the scaled scores (relative positions, ALiBi); softcap: c of the soft
    cap; sinks (n_heads,): the dropped logits.
    """

    q: Float[Tensor, "n_heads q_len qk_head_dim"]
    k: Float[Tensor, "n_kv_heads kv_len qk_head_dim"]
    v: Float[Tensor, "n_kv_heads kv_len v_head_dim"]
    scale: float
    mask: Bool[Tensor, "q_len kv_len"] | None = None
    causal: bool = False
    bias: Float[Tensor, "n_heads_or_1 q_len kv_len"] | None = None
    softcap: float | None = None
    sinks: Float[Tensor, " n_heads"] | None = None

    @property
    def projections(self) -> Projections:
        """Queries, keys and values for a `Traces`; positions and cache stay with the model that carries them."""
        places = positions(0, self.q.shape[1], self.q.device), positions(0, self.k.shape[1], self.q.device)
        return Projections(self.q, self.k, self.v, *places, Position(), KVCache(), self._steps())

    def _steps(self) -> tuple[Step, ...]:
        kv = ("n_kv_heads", "kv_len")
        return (
            Step("q", r"q_t \text{, positions in it}", ("n_heads", "q_len", "qk_head_dim"), self.q),
            Step("k", r"k_u \text{, positions in it}", (*kv, "qk_head_dim"), self.k),
            Step("v", r"v_u", (*kv, "v_head_dim"), self.v),
        )

    def allowed(self) -> Bool[Tensor, "q_len kv_len"]:
        """True where a query may look at a key."""
        if self.mask is not None:
            return self.mask
        every = torch.ones(self.q.shape[1], self.k.shape[1], dtype=torch.bool, device=self.q.device)
        return every.tril() if self.causal else every

    def scores(self, queries: slice) -> Float[Tensor, "n_heads q_len kv_len"]:
        """Scaled scores of some queries, biased and capped, not masked."""
        scores = self.q[:, queries] @ self.each_head(self.k).transpose(-1, -2) * self.scale
        if self.bias is not None:
            scores = scores + self.bias[:, queries]
        return scores if self.softcap is None else self.softcap * torch.tanh(scores / self.softcap)

    def weights(self, queries: slice) -> Float[Tensor, "n_heads q_len kv_len"]:
        """The exact weights of some queries; rows sum to 1, or to less where there is a sink."""
        return self.softmax(self.scores(queries), self.allowed()[queries])

    def fused(self) -> Float[Tensor, "n_heads q_len v_head_dim"]:
        """The heads' outputs without holding the weights: torch's fused attention, or slabs of rows where there is a cap."""
        if self.softcap is not None:
            slabs = [slice(start, start + _SLAB) for start in range(0, self.q.shape[1], _SLAB)]
            return torch.cat([self.weights(rows) @ self.each_head(self.v) for rows in slabs], dim=1)
        k, v, mask = self.k, self.v, self._additive_mask()
        if self.sinks is not None:  # one key more, of score `sink` and value 0
            k, v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))
        return fused_heads(self.q, k, v, mask, mask is None and self.causal, self.scale)

    def _additive_mask(self) -> Tensor | None:
        if self.bias is None and self.sinks is None:
            return self.mask
        mask = torch.zeros_like(self.allowed(), dtype=self.q.dtype).masked_fill(~self.allowed(), float("-inf"))[None]
        mask = mask if self.bias is None else mask + self.bias
        if self.sinks is None:
            return mask
        column = self.sinks.to(mask)[:, None, None].expand(-1, mask.shape[1], 1)
        return torch.cat([mask.expand(len(column), -1, -1), column], dim=-1)

    def softmax(
        self, scores: Float[Tensor, "n_heads q_len kv_len"], mask: Bool[Tensor, "q_len kv_len"]
    ) -> Float[Tensor, "n_heads q_len kv_len"]:
        """Weights of the allowed keys, the sink's share left out."""
        if self.sinks is None:
            return masked_softmax(scores, mask)
        column = self.sinks.to(scores)[:, None, None].expand(-1, scores.shape[1], 1)
        return torch.cat([scores.masked_fill(~mask, float("-inf")), column], dim=-1).softmax(-1)[..., :-1]

    def each_head(self, t: Float[Tensor, "n_kv_heads kv_len width"]) -> Float[Tensor, "n_heads kv_len width"]:
        """Keys or values as each query head reads them."""
        return t.repeat_interleave(self.q.shape[0] // t.shape[0], dim=0)


@dataclass(frozen=True, eq=False)
class CapturedLayer:
    """A layer as `headlight.core.types.Traces` asks for it: its trace, or some rows. out (q_len, d_model): what the layer's
    attention module returned, after its output projection where that is part of the module."""

    call: CapturedCall
    out: Float[Tensor, "q_len d_model"]

    def trace(self, p: Projections, params: Mapping[str, Tensor]) -> Trace:
        """Every number of the layer, weights exact."""
        call, mask = self.call, self.call.allowed()
        scores = call.scores(slice(None))
        weights = call.softmax(scores, mask)
        return Trace(
            q=call.q, k=call.k, v=call.v, scores=scores, weights=weights, mask=mask,
            heads=weights @ call.each_head(call.v), out=self.out, scale=call.scale, cache=p.cache, projections=p.steps,
            bias=call.bias, softcap=call.softcap, sinks=call.sinks,
        )  # fmt: skip

    def rows(self, p: Projections, queries: slice) -> Float[Tensor, "n_heads q_len kv_len"]:
        """Rows of the trace's weights, at the cost of those rows."""
        return self.call.weights(queries)
