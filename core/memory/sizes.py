"""Bytes of a cache: a token's, and after any number of tokens, with windows, hybrid layers and compression.

KB is 1000 bytes here, KiB 1024. What layers without a growing cache keep (a constant state) is not counted.
"""

from __future__ import annotations

import math
from fractions import Fraction

from core.memory.checks import MAX_BATCH, MAX_TOKENS, whole
from core.memory.precision import Precision
from core.memory.shape import CacheShape

PAGE = 16  # tokens that an engine with pages reserves at once (vLLM's default block)


def elements_per_token(shape: CacheShape) -> Fraction:
    """Numbers kept a token in all layers, before any window is full."""
    return sum((Fraction(group.count * group.elements, group.every) for group in shape.groups), Fraction(0))


def growing_elements_per_token(shape: CacheShape) -> Fraction:
    """Numbers kept a token in the layers that grow however long the text is."""
    growing = [group for group in shape.groups if group.grows]
    return sum((Fraction(group.count * group.elements, group.every) for group in growing), Fraction(0))


def bytes_per_token(shape: CacheShape, precision: Precision) -> float:
    """Bytes a token in all layers, before any window is full.

    >>> from core.memory.precision import PRECISIONS
    >>> from core.memory.shape import of_heads
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


def reserved_bytes_at(shape: CacheShape, context: int, precision: Precision, batch: int = 1, page: int = PAGE) -> int:
    """Bytes that an engine reserves which gives every layer whole pages for every token, windows or not.

    So it is in an engine that has one table of pages for all layers (vLLM's log counts tokens that way).
    """
    whole("context", context, MAX_TOKENS)
    whole("batch", batch, MAX_BATCH)
    whole("page", page, MAX_TOKENS)
    tokens = -(-context // page) * page
    elements = sum(group.count * group.elements * (tokens // group.every) for group in shape.groups)
    return batch * math.ceil(elements * precision.bytes_per_element)
