"""Keys and values through one latent, without a rotated key beside it: what an SVD of a trained [W_K; W_V] gives.

    c_kv   c_u   = W^D h_u                      kv_a_proj      (cached; kv_lora_rank numbers)
    k      k_u,j = R_u (W^UK_j c_u + b^K_j)     kv_b_proj, first rows of each KV head
    v      v_u,j = W^UV_j c_u + b^V_j           kv_b_proj, last rows of each KV head

There is no norm on the latent, so that at full rank it is the attention that it was made from. Where the encoding does not
act on queries and keys, W^UK goes to the query's side and W^UV to the output's, as in MLA (DeepSeek-V2, arXiv 2405.04434,
section 2.1.2). Where it does (RoPE), R_u stands between W_Q and W^UK and changes with u: keys are expanded from the latent
at every step and then turned, as in Palu (Chang et al. 2024, arXiv 2407.21118, which reconstructs keys on the fly).
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.attention.base import Params, linear, masked_softmax, query_positions
from headlight.core.attention.kv_heads import KVHeads
from headlight.core.cache import Cache
from headlight.core.errors import ConfigError
from headlight.core.memory.shape import CachePart, CacheRow, Parts
from headlight.core.positions.base import Position
from headlight.core.types import Projections, Step, positions


@dataclass(frozen=True)
class Latent(KVHeads):
    """kv_lora_rank: width of the latent, all that is remembered; n_kv_heads: heads that keys and values are expanded to.

    >>> Latent(d_model=384, n_heads=12, head_dim=32, n_kv_heads=12, kv_lora_rank=384).cached_elements_per_token()
    384
    """

    kv_lora_rank: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kv_lora_rank <= 0:
            raise ConfigError(f"kv_lora_rank ({self.kv_lora_rank}) must be positive")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """q_proj, kv_a_proj (down), kv_b_proj (up: a KV head's key rows, then its value rows), o_proj; weights [out, in]."""
        q, kv = self.n_heads * self.head_dim, self.n_kv_heads * self._up_width()
        down = {"kv_a_proj.weight": (self.kv_lora_rank, self.d_model)}
        plain = self._shapes(q_proj=(q, self.d_model), o_proj=(self.d_model, q))
        return plain | down | self._shapes(kv_b_proj=(kv, self.kv_lora_rank))

    def cache_row(self) -> CacheRow:
        """The latent, for all heads together; keys are rotated after they are expanded from it."""
        return Parts((CachePart("c_kv", "latent", self.kv_lora_rank),))

    def project(
        self, x: Float[Tensor, "q_len d_model"], params: Params, position: Position, past: Cache
    ) -> Projections:
        """Queries, and keys and values expanded from the cache; keys are rotated after that, each at its own position."""
        q_pos = query_positions(x, past)
        q = position.at_qk(self._split(linear(x, params, "q_proj")), q_pos)
        cache = past.extend(c_kv=linear(x, params, "kv_a_proj"))
        c_kv, k_pos = cache.tensors["c_kv"], positions(0, cache.length, x.device)
        up = linear(c_kv, params, "kv_b_proj").unflatten(-1, (self.n_kv_heads, -1)).transpose(0, 1)
        k, v = up.split([self.head_dim, self.head_dim], dim=-1)
        k = position.at_qk(k, k_pos)
        return Projections(q, k, v, q_pos, k_pos, position, cache, _steps(q, k, v, c_kv))

    def absorbs(self, position: Position) -> bool:
        """Not where keys are rotated after they are expanded."""
        return not position.turns_keys

    def absorbed(
        self,
        q: Float[Tensor, "n_heads q_len qk_head_dim"],
        cache: Cache,
        q_pos: Int[Tensor, " q_len"],
        position: Position,
        params: Params,
    ) -> tuple[Float[Tensor, "n_heads q_len kv_len"], Float[Tensor, "q_len d_model"]]:
        """Weights and output of the same attention in latent space; raises ConfigError for an encoding that turns keys."""
        if not self.absorbs(position):
            raise ConfigError(f"{type(position).__name__} turns keys, which then cannot be absorbed into the query")
        c_kv, w_uk, b_k = cache.tensors["c_kv"], *self._up(params, slice(0, self.head_dim))
        scores = (q @ w_uk) @ c_kv.T + (0.0 if b_k is None else (q * b_k).sum(-1, keepdim=True))
        k_pos = positions(0, cache.length, q.device)
        scores = position.at_scores(scores * (self.scale * position.score_scale), q_pos, k_pos)
        weights = masked_softmax(scores, self.allowed(q_pos, k_pos))
        return weights, self._expanded_output(weights, c_kv, params)

    def _absorbed_step(self, x: Tensor, params: Params, position: Position, past: Cache) -> tuple[Tensor, Tensor]:
        q_pos = query_positions(x, past)
        q = self._split(linear(x, params, "q_proj"))
        cache = past.extend(c_kv=linear(x, params, "kv_a_proj"))
        return self.absorbed(q, cache, q_pos, position, params)

    def _expanded_output(self, weights: Tensor, c_kv: Tensor, params: Params) -> Tensor:
        w_uv, b_v = self._up(params, slice(self._up_width() - self.head_dim, None))
        heads = (weights @ c_kv) @ w_uv.transpose(1, 2)
        # Each row of weights sums to 1, so a value's bias comes out as it went in.
        return self._output(heads if b_v is None else heads + weights.sum(-1, keepdim=True) * b_v, params)

    def _up_width(self) -> int:
        """Rows of the up-projection a KV head."""
        return 2 * self.head_dim

    def _up(self, params: Params, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Some rows of every KV head's up-projection, and their bias, repeated for the query heads."""
        weight = params["kv_b_proj.weight"].unflatten(0, (self.n_kv_heads, -1))[:, rows]
        bias = params.get("kv_b_proj.bias")
        if bias is not None:
            bias = self._per_query_head(bias.unflatten(0, (self.n_kv_heads, 1, -1))[..., rows])
        return self._per_query_head(weight), bias


def _steps(q: Tensor, k: Tensor, v: Tensor, c_kv: Tensor) -> tuple[Step, ...]:
    kv = ("n_kv_heads", "kv_len")
    return (
        Step("c_kv", r"c_u = W^D h_u", ("kv_len", "kv_lora_rank"), c_kv),
        Step("q", r"q_t = R_t\,W_Q\,h_t", ("n_heads", "q_len", "qk_head_dim"), q),
        Step("k", r"k_u = R_u\,W^{UK} c_u", (*kv, "qk_head_dim"), k),
        Step("v", r"v_u = W^{UV} c_u", (*kv, "v_head_dim"), v),
    )
