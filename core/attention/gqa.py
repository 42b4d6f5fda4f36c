"""Grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245, section 2.2): neighbouring query heads share a KV head.

n_kv_heads = n_heads is multi-head attention, n_kv_heads = 1 multi-query attention; both are rows of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from headlight.core.attention.base import Params, linear, query_positions
from headlight.core.attention.kv_heads import KVHeads
from headlight.core.cache import Cache
from headlight.core.memory.shape import Heads
from headlight.core.positions.base import Position
from headlight.core.types import Projections, Step, positions


@dataclass(frozen=True)
class GQA(KVHeads):
    """n_kv_heads: key-value heads; it must divide n_heads.

    >>> import torch
    >>> from headlight.core.positions import RoPE
    >>> gqa = GQA(d_model=24, n_heads=6, head_dim=4, n_kv_heads=2)
    >>> params = {name: torch.randn(shape) for name, shape in gqa.shapes().items()}
    >>> trace = gqa.attend(torch.randn(5, 24), params, RoPE(dim=4))
    >>> trace.weights.shape, trace.k.shape, trace.out.shape
    (torch.Size([6, 5, 5]), torch.Size([2, 5, 4]), torch.Size([5, 24]))
    >>> [trace.kv_head(head) for head in range(6)]
    [0, 0, 0, 1, 1, 1]
    >>> GQA(d_model=24, n_heads=6, head_dim=4, n_kv_heads=4)
    Traceback (most recent call last):
    headlight.core.errors.ConfigError: n_heads (6) must be a multiple of n_kv_heads (4)
    """

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """q_proj, k_proj, v_proj, o_proj: weights [out, in], and biases where `bias` is set."""
        q, kv = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        d = self.d_model
        return self._shapes(q_proj=(q, d), k_proj=(kv, d), v_proj=(kv, d), o_proj=(d, q))

    def cache_row(self) -> Heads:
        """A rotated key and a value for each KV head: 2 n_kv_heads head_dim elements."""
        return Heads(self.n_kv_heads, self.head_dim, self.head_dim)

    def project(
        self, x: Float[Tensor, "q_len d_model"], params: Params, position: Position, past: Cache
    ) -> Projections:
        """q_t = R_t W_Q h_t, k_u = R_u W_K h_u, v_u = W_V h_u, split into heads; R_t is what the encoding does at t."""
        q_pos = query_positions(x, past)
        q, k, v = (self._split(linear(x, params, name)) for name in ("q_proj", "k_proj", "v_proj"))
        q, k = position.at_qk(q, q_pos), position.at_qk(k, q_pos)
        cache = past.extend(k=k, v=v)
        k, v = cache.tensors["k"], cache.tensors["v"]
        k_pos = positions(0, cache.length, x.device)
        return Projections(q, k, v, q_pos, k_pos, position, cache, _steps(x, q, k, v))


def _steps(h: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[Step, ...]:
    kv = ("n_kv_heads", "kv_len")
    return (
        Step("h", r"h_t", ("q_len", "d_model"), h),
        Step("q", r"q_t = R_t\,W_Q\,h_t", ("n_heads", "q_len", "qk_head_dim"), q, ("h",)),
        Step("k", r"k_u = R_u\,W_K\,h_u", (*kv, "qk_head_dim"), k, ("h",)),
        Step("v", r"v_u = W_V\,h_u", (*kv, "v_head_dim"), v, ("h",)),
    )
