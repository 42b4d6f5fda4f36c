"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1, eqs 9-19), with decoupled RoPE.

Keys and values are projected down to one small latent, which is all that is remembered, together with one rotated key
that all heads share. Our names beside the paper's, for a token t and head i:

    c_q      c^Q_t    = RMSNorm(W^DQ h_t)                 q_a_proj, q_a_layernorm      (q_lora_rank 0: no compression)
    q_nope   q^C_t,i  = W^UQ c^Q_t                        q_b_proj, first rows of each head   (or q_proj)
    q_rope   q^R_t,i  = RoPE(W^QR c^Q_t)                  q_b_proj, last rows of each head
    c_kv     c^KV_t   = RMSNorm(W^DKV h_t)                kv_a_proj_with_mqa, kv_a_layernorm  (cached, after the norm)
    k_rope   k^R_t    = RoPE(W^KR h_t)                    kv_a_proj_with_mqa, last rows        (cached, after RoPE)
    k_nope   k^C_t,i  = W^UK c^KV_t                       kv_b_proj, first rows of each head
    v        v^C_t,i  = W^UV c^KV_t                       kv_b_proj, last rows of each head

Each head's query and key are concatenated *after* the up-projection, q = [q^C; q^R] and k = [k^C; k^R]; values have no
rotary part. The norms are in the paper's text (3.1.2) and in DeepSeek's code; their eps is 1e-6 whatever the model's is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from headlight.core.attention.base import Attention, Params, linear, masked_softmax, query_positions
from headlight.core.attention.mla_steps import absorbed_steps, key_value_steps, query_steps
from headlight.core.cache import Cache
from headlight.core.errors import ConfigError, InputError
from headlight.core.memory.shape import Latent
from headlight.core.positions.base import Position
from headlight.core.types import Projections, Step, positions

LATENT_EPS = 1e-6


@dataclass(frozen=True)
class MLA(Attention):
    """kv_lora_rank: width of the latent; qk_nope_head_dim and qk_rope_head_dim: a head's query and key without and with
    position; v_head_dim: a head's value; q_lora_rank: width of the queries' own latent, 0 for none. head_dim is their sum.

    DeepSeek-V2's sizes keep 576 values per token per layer, for 128 heads together (its Table 1: d_c + d_h^R):

    >>> v2 = MLA(5120, 128, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, q_lora_rank=1536)
    >>> v2.cached_elements_per_token(), v2.head_dim
    (576, 192)
    >>> {name: shape for name, shape in v2.shapes().items() if name.startswith("kv_")}  # doctest: +NORMALIZE_WHITESPACE
    {'kv_a_proj_with_mqa.weight': (576, 5120), 'kv_a_layernorm.weight': (512,), 'kv_b_proj.weight': (32768, 512)}
    """

    head_dim: int = field(init=False)
    kv_lora_rank: int = 0
    qk_nope_head_dim: int = 0
    qk_rope_head_dim: int = 0
    v_head_dim: int = 0
    q_lora_rank: int = 0

    def __post_init__(self) -> None:
        for name in ("kv_lora_rank", "qk_nope_head_dim", "v_head_dim"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} ({getattr(self, name)}) must be positive")
        if self.qk_rope_head_dim < 0 or self.qk_rope_head_dim % 2:
            raise ConfigError(
                f"qk_rope_head_dim ({self.qk_rope_head_dim}) must be even: RoPE turns pairs of dimensions"
            )
        if self.q_lora_rank < 0:
            raise ConfigError(f"q_lora_rank ({self.q_lora_rank}) must be 0 (no query compression) or positive")
        object.__setattr__(self, "head_dim", self.qk_nope_head_dim + self.qk_rope_head_dim)
        super().__post_init__()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters of `transformers`' DeepSeek layers, weights [out, in]."""
        q_rows = self.n_heads * self.head_dim
        kv_rows = self.n_heads * (self.qk_nope_head_dim + self.v_head_dim)
        shapes: dict[str, tuple[int, ...]] = {"q_proj.weight": (q_rows, self.d_model)}
        if self.q_lora_rank:
            shapes = {
                "q_a_proj.weight": (self.q_lora_rank, self.d_model),
                "q_a_layernorm.weight": (self.q_lora_rank,),
                "q_b_proj.weight": (q_rows, self.q_lora_rank),
            }
        if self.bias:
            shapes |= {"kv_a_proj_with_mqa.bias": (self.kv_lora_rank + self.qk_rope_head_dim,)}
            shapes |= {"o_proj.bias": (self.d_model,)}
            shapes |= {"q_a_proj.bias": (self.q_lora_rank,)} if self.q_lora_rank else {}
        return shapes | {
            "kv_a_proj_with_mqa.weight": (self.kv_lora_rank + self.qk_rope_head_dim, self.d_model),
            "kv_a_layernorm.weight": (self.kv_lora_rank,),
            "kv_b_proj.weight": (kv_rows, self.kv_lora_rank),
            "o_proj.weight": (self.d_model, self.n_heads * self.v_head_dim),
        }

    def cache_row(self) -> Latent:
        """The latent and the shared rotated key, for all heads together: kv_lora_rank + qk_rope_head_dim elements."""
        return Latent(self.kv_lora_rank, self.qk_rope_head_dim)

    @property
    def rotary_width(self) -> int:
        """qk_rope_head_dim: the part of a query and key that carries position."""
        return self.qk_rope_head_dim

    def project(
        self, x: Float[Tensor, "q_len d_model"], params: Params, position: Position, past: Cache
    ) -> Projections:
        """Queries, and keys and values expanded from the cache: the form to read and to prefill with."""
        q_pos = query_positions(x, past)
        c_q = self._query_latent(x, params)
        q = self._queries(x if c_q is None else c_q, params, position, q_pos)
        cache = past.extend(**self._latents(x, params, position, q_pos))
        c_kv, k_rope = cache.tensors["c_kv"], cache.tensors["k_rope"]
        up = linear(c_kv, params, "kv_b_proj").unflatten(-1, (self.n_heads, -1)).transpose(0, 1)
        k_nope, v = up.split([self.qk_nope_head_dim, self.v_head_dim], dim=-1)
        k = torch.cat([k_nope, k_rope.expand(self.n_heads, -1, -1)], dim=-1)
        steps = (*query_steps(x, c_q, q, self.qk_nope_head_dim), *key_value_steps(c_kv, k_rope, k_nope, k, v))
        return Projections(q, k, v, q_pos, positions(0, cache.length, x.device), position, cache, steps)

    def absorbs(self, position: Position) -> bool:
        """Always: what is rotated is not in the latent."""
        return True

    def _absorbed_step(self, x: Tensor, params: Params, position: Position, past: Cache) -> tuple[Tensor, Tensor]:
        q_pos = query_positions(x, past)
        c_q = self._query_latent(x, params)
        q = self._queries(x if c_q is None else c_q, params, position, q_pos)
        cache = past.extend(**self._latents(x, params, position, q_pos))
        return self.absorbed(q, cache, q_pos, position, params)

    def absorbed(
        self,
        q: Float[Tensor, "n_heads q_len qk_head_dim"],
        cache: Cache,
        q_pos: Int[Tensor, " q_len"],
        position: Position,
        params: Params,
    ) -> tuple[Float[Tensor, "n_heads q_len kv_len"], Float[Tensor, "q_len d_model"]]:
        """Weights and output of the same attention in latent space: W^UK goes to the query's side, W^UV to the output's.

        All heads then read one key [c_kv; k_rope] and one value c_kv, and keys and values are never expanded (section
        2.1.2 of the paper; DeepSeek-V3's `inference/model.py`). Equal to `trace` up to rounding.
        """
        _, _, weights, _, _, out = self.absorbed_steps(q, cache, q_pos, position, params)
        return weights.value, out.value

    def absorbed_steps(
        self,
        q: Float[Tensor, "n_heads q_len qk_head_dim"],
        cache: Cache,
        q_pos: Int[Tensor, " q_len"],
        position: Position,
        params: Params,
    ) -> tuple[Step, ...]:
        """The lines of `absorbed`: q_latent, scores, weights, z (the mix of latents that a head reads), heads, out."""
        up = params["kv_b_proj.weight"].unflatten(0, (self.n_heads, -1))
        w_uk, w_uv = up.split([self.qk_nope_head_dim, self.v_head_dim], dim=1)
        q_nope, q_rope = q.split([self.qk_nope_head_dim, self.qk_rope_head_dim], dim=-1)
        c_kv, k_rope = cache.tensors["c_kv"], cache.tensors["k_rope"]
        k_pos = positions(0, cache.length, q.device)
        q_latent = q_nope @ w_uk
        scores = (q_latent @ c_kv.T + q_rope @ k_rope.T) * (self.scale * position.score_scale)
        scores = position.at_scores(scores, q_pos, k_pos)
        weights = masked_softmax(scores, self.allowed(q_pos, k_pos))
        z = weights @ c_kv
        heads = z @ w_uv.transpose(1, 2)
        return absorbed_steps(q_latent, scores, weights, z, heads, self._output(heads, params))

    def _query_latent(self, x: Tensor, params: Params) -> Tensor | None:
        """c^Q, or None where queries are not compressed."""
        if not self.q_lora_rank:
            return None
        return _latent_norm(linear(x, params, "q_a_proj"), params, "q_a_layernorm")

    def _queries(self, source: Tensor, params: Params, position: Position, q_pos: Tensor) -> Tensor:
        q = linear(source, params, "q_b_proj" if self.q_lora_rank else "q_proj")
        q = q.unflatten(-1, (self.n_heads, self.head_dim)).transpose(0, 1)
        q_nope, q_rope = q.split([self.qk_nope_head_dim, self.qk_rope_head_dim], dim=-1)
        return torch.cat([q_nope, position.at_qk(q_rope, q_pos)], dim=-1)

    def _latents(self, x: Tensor, params: Params, position: Position, pos: Tensor) -> dict[str, Tensor]:
        down = linear(x, params, "kv_a_proj_with_mqa")
        c_kv, k_rope = down.split([self.kv_lora_rank, self.qk_rope_head_dim], dim=-1)
        # The norm covers the latent alone; the rotated key, taken from h and not from the latent, has none.
        return {
            "c_kv": _latent_norm(c_kv, params, "kv_a_layernorm"),
            "k_rope": position.at_qk(k_rope[None], pos)[0],
        }


def _latent_norm(x: Tensor, params: Params, name: str) -> Tensor:
    weight = params[f"{name}.weight"]
    return F.rms_norm(x, weight.shape, weight, LATENT_EPS)


def mla_of(attention: Attention, title: str) -> MLA:
    """The attention, for what is about MLA alone; title: its model's. Raises InputError where it is another variant."""
    if not isinstance(attention, MLA):
        raise InputError(f"{title} keeps no latent: its attention is {type(attention).__name__}, not MLA")
    return attention
