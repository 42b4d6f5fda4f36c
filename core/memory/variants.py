"""The same model with another attention: what its cache would take as MHA, GQA, MQA or MLA; MLA's own three forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from headlight.core.errors import ConfigError
from headlight.core.memory.shape import CacheRow, CacheShape, Heads, Latent, LayerGroup


def with_kv_heads(shape: CacheShape, n_kv_heads: int) -> CacheShape:
    """Keys and values of n_kv_heads heads in every layer that keeps any: n_heads of them is MHA, 1 is MQA, others GQA.

    Widths, windows and layers stay. Raises ConfigError for a number that does not divide n_heads, and for a compressed cache.

    >>> from headlight.core.memory.shape import of_heads
    >>> with_kv_heads(of_heads(126, n_heads=128, n_kv_heads=8, head_dim=128), 128).groups[0].elements
    32768
    """
    return _with_rows(shape, lambda group: Heads(n_kv_heads, *_widths(shape, group)))


def as_mha(shape: CacheShape) -> CacheShape:
    """Every query head with keys and values of its own. Of MLA: the latent expanded for each head, rotated part included."""
    return with_kv_heads(shape, shape.n_heads)


def as_mla(shape: CacheShape, kv_lora_rank: int, qk_rope_head_dim: int | None = None) -> CacheShape:
    """A latent and one rotated key, half a head wide unless said otherwise (DeepSeek-V2, section 3.1.2: d_h^R = d_h / 2)."""

    def row(group: LayerGroup) -> CacheRow:
        return Latent(kv_lora_rank, _widths(shape, group)[1] // 2 if qk_rope_head_dim is None else qk_rope_head_dim)

    return _with_rows(shape, row)


def mla_forms(shape: CacheShape) -> Mapping[str, CacheShape]:
    """MLA three ways: "latent" as it is kept, "expanded" with keys and values of every head (d_n + d_R and d_v wide), "mha"
    as multi-head attention of the same heads without the extra rotated part (d_n and d_v; DeepSeek-V2's Table 1: 2 n_h d_h).

    Raises ConfigError for a model that has no MLA.
    """
    dims = shape.mla
    if dims is None:
        raise ConfigError("only a model with MLA has a latent to expand")
    plain = _with_rows(shape, lambda group: Heads(shape.n_heads, dims.qk_nope_head_dim, dims.v_head_dim))
    return {"latent": shape, "expanded": as_mha(shape), "mha": plain}


def _with_rows(shape: CacheShape, row: Callable[[LayerGroup], CacheRow]) -> CacheShape:
    if shape.compressed:
        raise ConfigError("a cache that keeps one row for several tokens has no counterpart of plain heads")
    groups = [group if group.row is None else replace(group, row=row(group)) for group in shape.groups]
    return replace(shape, groups=tuple(groups))


def _widths(shape: CacheShape, group: LayerGroup) -> tuple[int, int]:
    """Widths of a head's key and value in this group."""
    if isinstance(group.row, Heads):
        return group.row.head_dim, group.row.v_head_dim or group.row.head_dim
    if shape.mla is None:
        raise ConfigError("a latent alone does not say how wide the heads are; give MLA's five numbers")
    return shape.mla.qk_nope_head_dim + shape.mla.qk_rope_head_dim, shape.mla.v_head_dim
