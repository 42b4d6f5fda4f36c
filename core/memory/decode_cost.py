"""What one decoding step costs one attention layer: floating-point operations, and bytes that pass through memory.

A step makes one new token in each of `batch` sequences that are `context` tokens long, the new one counted. A
multiplication and an addition are two operations. With n heads whose queries and keys are d_k wide and values d_v wide:

    scores and weighted sum     2 n (d_k + d_v) context                        MHA, GQA and MQA alike: sharing saves bytes
    absorbed MLA                the same with d_k = d_c + d_R and d_v = d_c    (DeepSeek-V2, section 2.1.2)
    expanding latents anew      2 d_c n (d_n + d_v) context more               each remembered latent through W^UK and W^UV

Every remembered number is read once. Expanded keys and values are written once and read once. Softmax, norms and rotation
are left out: they are a few operations a score. The projections' own weights are counted apart, for they are read once a
step whatever the batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_BATCH, MAX_TOKENS, whole
from headlight.core.memory.precision import PRECISIONS, Precision
from headlight.core.memory.shape import CacheRow, CacheShape, Heads, MLADims

HALF = PRECISIONS["bf16"]  # what weights and expanded keys and values are held in


@dataclass(frozen=True)
class Way:
    """One way to attend when decoding. row: what is kept per token; key, value: widths that scores and sums run over, a head.

    weights: numbers in the projections that a new token goes through; up: numbers in W^UK and W^UV where every remembered
    latent goes through them as well (0: none does).
    """

    title: str
    n_heads: int
    row: CacheRow
    key: int
    value: int
    weights: int
    up: int = 0

    def cost(self, context: int, batch: int = 1, cache: Precision = HALF) -> StepCost:
        """One layer's step; cache: how the remembered numbers are held. Raises ConfigError for impossible sizes."""
        tokens = whole("context", context, MAX_TOKENS) * whole("batch", batch, MAX_BATCH)
        latent = self.row.part("latent")
        expanded = self.up // latent.width if latent else 0  # elements of all heads' keys and values
        return StepCost(
            flops=2 * tokens * (self.n_heads * (self.key + self.value) + self.up),
            cache_bytes=float(tokens * self.row.elements * cache.bytes_per_element),
            expanded_bytes=float(2 * tokens * expanded * HALF.bytes_per_element),
            weight_flops=2 * batch * (self.weights - self.up),
            weight_bytes=float(self.weights * HALF.bytes_per_element),
        )


@dataclass(frozen=True)
class StepCost:
    """flops: of attending (and of expanding latents); cache_bytes: read from the cache; expanded_bytes: of keys and values
    written and read again; weight_flops, weight_bytes: of the projections, for all sequences together.
    """

    flops: int
    cache_bytes: float
    expanded_bytes: float
    weight_flops: int
    weight_bytes: float

    def operations(self, weights: bool = False) -> int:
        """All floating-point operations; weights: with those of the projections."""
        return self.flops + (self.weight_flops if weights else 0)

    def traffic(self, weights: bool = False) -> float:
        """All bytes read or written; weights: with those of the projections."""
        return self.cache_bytes + self.expanded_bytes + (self.weight_bytes if weights else 0.0)

    def intensity(self, weights: bool = False) -> float:
        """Operations for each byte that passes through memory."""
        return self.operations(weights) / self.traffic(weights)


def ways(shape: CacheShape, n_kv_heads: int) -> Mapping[str, Way]:
    """The layer's attention six ways by name: mha, gqa (of n_kv_heads), mqa, full, absorbed, expanded.

    A model without MLA gets the latent that DeepSeek-V2 would give it. Raises ConfigError where d_model is not known, or
    n_kv_heads does not divide n_heads.

    >>> from headlight.core.memory.shape import MLADims, of_mla
    >>> from dataclasses import replace
    >>> v3 = replace(of_mla(61, 128, MLADims(512, 128, 64, 128, q_lora_rank=1536)), d_model=7168)
    >>> {name: way.cost(131_072).flops // 10**8 / 10 for name, way in ways(v3, 8).items()}
    {'mha': 8.5, 'gqa': 8.5, 'mqa': 8.5, 'full': 10.7, 'absorbed': 36.5, 'expanded': 4408.7}
    """
    if shape.d_model is None:
        raise ConfigError("d_model is needed to count the projections")
    dims, n, d = latent_of(shape), shape.n_heads, shape.d_model
    if n % n_kv_heads:
        raise ConfigError(f"n_heads ({n}) must be a multiple of n_kv_heads ({n_kv_heads})")
    plain = {"mha": ("MHA", n), "gqa": (f"GQA, {n_kv_heads} KV heads", n_kv_heads), "mqa": ("MQA", 1)}
    found = {name: _of_heads(title, d, n, Heads(g, *_head(dims))) for name, (title, g) in plain.items()}
    weights, up = _weights(d, n, dims), dims.kv_lora_rank * n * (dims.qk_nope_head_dim + dims.v_head_dim)
    wide = dims.qk_nope_head_dim + dims.qk_rope_head_dim
    kept = Heads(n, wide, dims.v_head_dim)
    return found | {
        "full": Way("MLA, full K and V", n, kept, wide, dims.v_head_dim, weights),
        "absorbed": Way("MLA absorbed", n, dims.row, dims.row.elements, dims.kv_lora_rank, weights),
        "expanded": Way("MLA expanded anew", n, dims.row, wide, dims.v_head_dim, weights, up),
    }


def plain(shape: CacheShape) -> bool:
    """Whether every layer attends to every remembered token in the same way, which is what is counted here."""
    group = shape.groups[0]
    alike = len(shape.groups) == 1 and group.row is not None and group.grows and group.every == 1
    return alike and not group.indexer and not shape.indexer_dim and shape.d_model is not None


def own_kv_heads(shape: CacheShape) -> int:
    """KV heads that a model has; for MLA 8, or as many as divide its heads."""
    row = shape.groups[0].row
    return row.n_kv_heads if isinstance(row, Heads) else math.gcd(8, shape.n_heads)


def latent_of(shape: CacheShape) -> MLADims:
    """The model's own MLA, or one in DeepSeek-V2's proportions: a latent of four heads, a rotated key of half a head."""
    if shape.mla is not None:
        return shape.mla
    row = next((group.row for group in shape.groups if isinstance(group.row, Heads)), None)
    if row is None:
        raise ConfigError("no layer of this model keeps keys and values of heads")
    return MLADims(4 * row.head_dim, row.head_dim, row.head_dim // 2, row.v_head_dim or row.head_dim)


def _head(dims: MLADims) -> tuple[int, int]:
    return dims.qk_nope_head_dim, dims.v_head_dim


def _of_heads(title: str, d_model: int, n_heads: int, row: Heads) -> Way:
    q_and_out = d_model * n_heads * (row.head_dim + row.v_head_dim)
    return Way(title, n_heads, row, row.head_dim, row.v_head_dim, q_and_out + d_model * row.elements)


def _weights(d_model: int, n_heads: int, dims: MLADims) -> int:
    queries = n_heads * (dims.qk_nope_head_dim + dims.qk_rope_head_dim)
    down, up = d_model * dims.row.elements, dims.kv_lora_rank * n_heads * (dims.qk_nope_head_dim + dims.v_head_dim)
    asked = dims.q_lora_rank * (d_model + queries) if dims.q_lora_rank else d_model * queries
    return asked + down + up + n_heads * dims.v_head_dim * d_model


def flop(operations: int | float) -> str:
    """Floating-point operations by thousands, four digits.

    >>> flop(36_507_222_016), flop(4_408_783_929_344)
    ('36.51 GFLOP', '4.409 TFLOP')
    """
    step = 0
    while operations >= 1000 and step < len(_UNITS) - 1:
        operations, step = operations / 1000, step + 1
    return f"{operations:.4g} {_UNITS[step]}"


_UNITS = ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP")
