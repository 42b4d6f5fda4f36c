"""A latent with a rotated part a KV head beside it: what decoupling a trained model's RoPE gives (MHA2MLA, Ji et al. 2025,
arXiv 2502.14837, section 3; TransMLA, Meng et al. 2025, arXiv 2502.07864).

A few dimensions of each key stay as they were and are turned; all others lose their position and come from the latent,
with the values:

    k_rope   k^R_u,j = R_u W^KR_j h_u            kv_a_proj, last rows       (cached, after RoPE)
    c_kv     c_u     = W^D h_u                   kv_a_proj, first rows      (cached)
    k_nope   k^C_u,j = W^UK_j c_u                kv_b_proj, first rows of each KV head
    v        v_u,j   = W^UV_j c_u                kv_b_proj, last rows of each KV head

Unlike DeepSeek's, the rotated key is not shared by all heads, the latent has no norm, and the scale stays that of the whole
head. Which dimensions are turned may differ from KV head to KV head and from layer to layer, so it is a parameter, rope_dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.attention.base import Params, linear, masked_softmax, query_positions
from headlight.core.attention.latent import Latent
from headlight.core.cache import Cache
from headlight.core.errors import ConfigError
from headlight.core.memory.shape import CachePart, CacheRow, Parts
from headlight.core.positions.base import Position
from headlight.core.types import Projections, Step, positions


@dataclass(frozen=True)
class Decoupled(Latent):
    """qk_rope_head_dim: dimensions of a key that are turned, an even number below head_dim.

    >>> Decoupled(576, 9, 64, n_kv_heads=3, kv_lora_rank=128, qk_rope_head_dim=16).cached_elements_per_token()
    176
    """

    qk_rope_head_dim: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.qk_rope_head_dim <= 0 or self.qk_rope_head_dim % 2 or self.qk_rope_head_dim >= self.head_dim:
            raise ConfigError(
                f"qk_rope_head_dim ({self.qk_rope_head_dim}) must be even, from 2 to below head_dim ({self.head_dim})"
            )

    @property
    def qk_nope_head_dim(self) -> int:
        """Dimensions of a key that carry no position."""
        return self.head_dim - self.qk_rope_head_dim

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """As `Latent`, with W^KR in kv_a_proj's last rows; rope_dims (n_kv_heads, qk_rope_head_dim) are whole numbers: which
        dimensions of a head are turned. Their keys' biases are kv_a_proj's."""
        down = self.kv_lora_rank + self.n_kv_heads * self.qk_rope_head_dim
        more = {"kv_a_proj.weight": (down, self.d_model), "rope_dims": (self.n_kv_heads, self.qk_rope_head_dim)}
        return super().shapes() | more | ({"kv_a_proj.bias": (down,)} if self.bias else {})

    def cache_row(self) -> CacheRow:
        """The latent, and a rotated key for each KV head: kv_lora_rank + n_kv_heads qk_rope_head_dim elements."""
        rotated = CachePart("k_rope", "rotated", self.qk_rope_head_dim, self.n_kv_heads, rotated=True)
        return Parts((*super().cache_row().parts, rotated))

    def project(
        self, x: Float[Tensor, "q_len d_model"], params: Params, position: Position, past: Cache
    ) -> Projections:
        """Queries and keys as [plain; rotated], plain keys and values expanded from the cache."""
        q_pos = query_positions(x, past)
        q = self._queries(x, params, position, q_pos)
        cache = past.extend(**self._remembered(x, params, position, q_pos))
        c_kv, k_rope = cache.tensors["c_kv"], cache.tensors["k_rope"]
        up = linear(c_kv, params, "kv_b_proj").unflatten(-1, (self.n_kv_heads, -1)).transpose(0, 1)
        k_nope, v = up.split([self.qk_nope_head_dim, self.head_dim], dim=-1)
        k, k_pos = torch.cat([k_nope, k_rope], dim=-1), positions(0, cache.length, x.device)
        return Projections(q, k, v, q_pos, k_pos, position, cache, _steps(q, k, v, c_kv, k_rope))

    def absorbs(self, position: Position) -> bool:
        """Always: what is rotated is not in the latent."""
        return True

    def absorbed(
        self,
        q: Float[Tensor, "n_heads q_len qk_head_dim"],
        cache: Cache,
        q_pos: Int[Tensor, " q_len"],
        position: Position,
        params: Params,
    ) -> tuple[Float[Tensor, "n_heads q_len kv_len"], Float[Tensor, "q_len d_model"]]:
        """Weights and output of the same attention with [c_kv; k_rope] as key; q is [plain; rotated], as `project` makes it."""
        c_kv, w_uk, b_k = cache.tensors["c_kv"], *self._up(params, slice(0, self.qk_nope_head_dim))
        q_nope, q_rope = q.split([self.qk_nope_head_dim, self.qk_rope_head_dim], dim=-1)
        scores = (q_nope @ w_uk) @ c_kv.T + q_rope @ self._per_query_head(cache.tensors["k_rope"]).transpose(1, 2)
        scores = scores + (0.0 if b_k is None else (q_nope * b_k).sum(-1, keepdim=True))
        k_pos = positions(0, cache.length, q.device)
        scores = position.at_scores(scores * (self.scale * position.score_scale), q_pos, k_pos)
        weights = masked_softmax(scores, self.allowed(q_pos, k_pos))
        return weights, self._expanded_output(weights, c_kv, params)

    def _absorbed_step(self, x: Tensor, params: Params, position: Position, past: Cache) -> tuple[Tensor, Tensor]:
        q_pos = query_positions(x, past)
        q = self._queries(x, params, position, q_pos)
        cache = past.extend(**self._remembered(x, params, position, q_pos))
        return self.absorbed(q, cache, q_pos, position, params)

    def _queries(self, x: Tensor, params: Params, position: Position, q_pos: Tensor) -> Tensor:
        q = self._split(linear(x, params, "q_proj"))
        group = self.n_heads // self.n_kv_heads
        turned, plain = (dims.repeat_interleave(group, 0) for dims in (params["rope_dims"], self.plain_dims(params)))
        return torch.cat([_take(q, plain), _take(position.at_qk(q, q_pos), turned)], dim=-1)

    def _remembered(self, x: Tensor, params: Params, position: Position, pos: Tensor) -> dict[str, Tensor]:
        c_kv, k_rope = linear(x, params, "kv_a_proj").split(
            [self.kv_lora_rank, self.n_kv_heads * self.qk_rope_head_dim], dim=-1
        )
        k_rope = k_rope.unflatten(-1, (self.n_kv_heads, -1)).transpose(0, 1)
        # Put where they stood in the head they are rotated by the frequencies that they had; all others are 0.
        dims = params["rope_dims"]
        whole = k_rope.new_zeros(*k_rope.shape[:2], self.head_dim).scatter(-1, _index(dims, k_rope), k_rope)
        return {"c_kv": c_kv, "k_rope": _take(position.at_qk(whole, pos), dims)}

    def plain_dims(self, params: Params) -> Int[Tensor, "n_kv_heads qk_nope_head_dim"]:
        """The dimensions of each KV head that are not turned, in their order."""
        kept = torch.ones(self.n_kv_heads, self.head_dim, dtype=torch.bool, device=params["rope_dims"].device)
        kept = kept.scatter(1, params["rope_dims"], torch.zeros_like(kept))
        # A stable sort, so that it also runs under vmap, where `nonzero` does not.
        order = kept.to(torch.uint8).sort(dim=1, descending=True, stable=True).indices
        return order[:, : self.qk_nope_head_dim]

    def _up_width(self) -> int:
        return self.qk_nope_head_dim + self.head_dim


def _take(t: Float[Tensor, "heads seq head_dim"], dims: Int[Tensor, "heads width"]) -> Float[Tensor, "heads seq width"]:
    """Some dimensions of each head."""
    return t.gather(-1, _index(dims, t))


def _index(dims: Tensor, like: Tensor) -> Tensor:
    return dims[:, None].expand(-1, like.shape[1], -1)


def _steps(q: Tensor, k: Tensor, v: Tensor, c_kv: Tensor, k_rope: Tensor) -> tuple[Step, ...]:
    kv = ("n_kv_heads", "kv_len")
    return (
        Step("c_kv", r"c_u = W^D h_u", ("kv_len", "kv_lora_rank"), c_kv),
        Step("k_rope", r"k^R_u = R_u\,W^{KR} h_u", (*kv, "qk_rope_head_dim"), k_rope),
        Step("q", r"q_t = [q^C_t;\ R_t\,q^R_t]", ("n_heads", "q_len", "qk_head_dim"), q),
        Step("k", r"k_u = [W^{UK} c_u;\ k^R_u]", (*kv, "qk_head_dim"), k),
        Step("v", r"v_u = W^{UV} c_u", (*kv, "v_head_dim"), v),
    )
