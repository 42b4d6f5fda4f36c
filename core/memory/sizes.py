"""Bytes of a cache: a token's, and after any number of tokens, with windows, hybrid layers and compression.

KB is 1000 bytes here, KiB 1024. What layers without a growing cache keep (a constant state) is not counted.
"""

from __future__ import annotations

import math
from fractions import Fraction

from headlight.core.memory.bounds import MAX_BATCH, MAX_TOKENS, whole
from headlight.core.memory.precision import Precision
from headlight.core.memory.shape import CacheShape, LayerGroup

PAGE = 16  # tokens that an engine with pages reserves at once (vLLM's default block)


def elements_per_token(shape: CacheShape) -> Fraction:
    """Numbers kept per token in all layers, before any window is full."""
    return sum((Fraction(group.count * group.elements, group.every) for group in shape.groups), Fraction(0))


def growing_elements_per_token(shape: CacheShape) -> Fraction:
    """Numbers kept per token in the layers that grow however long the text is."""
    growing = [group for group in shape.groups if group.grows]
    return sum((Fraction(group.count * group.elements, group.every) for group in growing), Fraction(0))


def bytes_per_token(shape: CacheShape, precision: Precision) -> float:
    """Bytes a token in all layers, before any window is full.

    >>> from headlight.core.memory.precision import PRECISIONS
    >>> from headlight.core.memory.shape import of_heads
    >>> bytes_per_token(of_heads(126, n_heads=128, n_kv_heads=8, head_dim=128), PRECISIONS["bf16"])
    516096.0
    """
    return float(elements_per_token(shape) * precision.bytes_per_element)


def growing_bytes_per_token(shape: CacheShape, precision: Precision) -> float:
    """Bytes a token in the layers that grow however long the text is."""
    return float(growing_elements_per_token(shape) * precision.bytes_per_element)


def elements_at(shape: CacheShape, context: int) -> int:
    """Numbers kept after `context` tokens of one sequence: a full window grows no more."""
    whole("context", context, MAX_TOKENS)
    return sum(group.count * group.elements * group.rows(context) for group in shape.groups)


def bytes_at(shape: CacheShape, context: int, precision: Precision, batch: int = 1) -> int:
    """Bytes kept after `context` tokens of each of `batch` sequences."""
    whole("batch", batch, MAX_BATCH)
    return batch * math.ceil(elements_at(shape, context) * precision.bytes_per_element)


def indexer_bytes_at(shape: CacheShape, context: int, precision: Precision, batch: int = 1) -> int:
    """Bytes that a sparse attention's indexers keep beside the cache, in the layers that have one.

    >>> from headlight.core.memory.precision import PRECISIONS
    >>> from headlight.core.memory.shape import MLADims, of_mla
    >>> from dataclasses import replace
    >>> glm = replace(of_mla(78, 64, MLADims(512, 192, 64, 256)), indexer_dim=128, indexer_layers=21)
    >>> indexer_bytes_at(glm, 1_048_576, PRECISIONS["bf16"])
    5637144576
    """
    whole("context", context, MAX_TOKENS)
    elements = shape.indexed * shape.indexer_dim * context
    return whole("batch", batch, MAX_BATCH) * math.ceil(elements * precision.bytes_per_element)


def reserved_bytes_at(shape: CacheShape, context: int, precision: Precision, batch: int = 1, page: int = PAGE) -> int:
    """Bytes that an engine reserves which gives every layer whole pages for every token, windows or not.

    So it is in an engine that has one table of pages for all layers (vLLM's log counts tokens that way). Compressed caches
    keep their windows.
    """
    whole("context", context, MAX_TOKENS)
    whole("batch", batch, MAX_BATCH)
    whole("page", page, MAX_TOKENS)
    tokens = -(-context // page) * page
    elements = sum(group.count * group.elements * _reserved_rows(shape, group, tokens) for group in shape.groups)
    return batch * math.ceil(elements * precision.bytes_per_element)


def _reserved_rows(shape: CacheShape, group: LayerGroup, tokens: int) -> int:
    # An engine that runs compressed caches at all has windows, too.
    return min(tokens, group.window or tokens) if shape.compressed and group.window else tokens // group.every


PARTS = ("keys", "values", "one", "latent", "rotated", "indexer")


def parts_at(shape: CacheShape, context: int, precision: Precision, batch: int = 1) -> dict[str, int]:
    """`bytes_at` by what is kept: keys, values, "one" vector that is both, the latent, its rotated key, an indexer's keys.

    Parts that are nothing are left out; the first takes what rounding leaves, so that they add up.
    """
    counts = dict.fromkeys(PARTS, 0)
    for group in shape.groups:
        rows = group.count * group.rows(context)
        for name, elements in _row_parts(group).items():
            counts[name] = counts.get(name, 0) + rows * elements
    whole_size = bytes_at(shape, context, precision, batch)
    sizes = {name: int(batch * count * precision.bytes_per_element) for name, count in counts.items() if count}
    return {
        name: size + (whole_size - sum(sizes.values()) if i == 0 else 0) for i, (name, size) in enumerate(sizes.items())
    }


def _row_parts(group: LayerGroup) -> dict[str, int]:
    kept = () if group.row is None else group.row.parts
    counts = {kind: sum(p.elements for p in kept if p.kind == kind) for kind in dict.fromkeys(p.kind for p in kept)}
    return counts | ({"indexer": group.indexer} if kept else {})
