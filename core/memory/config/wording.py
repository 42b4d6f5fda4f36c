"""Bytes and formulas in words: KB is 1000 bytes, KiB 1024; every formula with its numbers filled in."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby

from headlight.core.memory.precision import Precision
from headlight.core.memory.shape import CacheRow, CacheShape, LayerGroup

_DECIMAL = ("B", "KB", "MB", "GB", "TB", "PB", "EB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def decimal(size: int | float) -> str:
    """Four significant digits, by thousands.

    >>> decimal(70_272), decimal(999), decimal(67_645_734_912)
    ('70.27 KB', '999 B', '67.65 GB')
    """
    return _scaled(size, 1000, _DECIMAL)


def binary(size: int | float) -> str:
    """Four significant digits, by 1024.

    >>> binary(70_272), binary(1_223_294_976)
    ('68.62 KiB', '1.139 GiB')
    """
    return _scaled(size, 1024, _BINARY)


def exact(size: int | float) -> str:
    """All digits.

    >>> exact(516_096.0), exact(6.5)
    ('516,096 B', '6.5 B')
    """
    return f"{size:,.0f} B" if size == int(size) else f"{size:,} B"


def _scaled(size: int | float, base: int, units: tuple[str, ...]) -> str:
    step = 0
    while size >= base and step < len(units) - 1:
        size, step = size / base, step + 1
    return f"{size:,.4g} {units[step]}" if size < 1000 else f"{size:,.0f} {units[step]}"


def number(value: Fraction | int | float) -> str:
    """A whole number with separators, else its digits.

    >>> number(Fraction(17, 16)), number(2), number(Fraction(1024))
    ('1.0625', '2', '1,024')
    """
    return f"{int(value):,}" if value == int(value) else f"{float(value):,}"


def row_formula(group: LayerGroup) -> str:
    """Numbers kept a row, as a sum or product of the fields they follow from."""
    row = group.row
    if row is None:
        return "0"
    text = elements_formula(row)
    return f"({text} + {group.indexer})" if group.indexer else text


def elements_formula(row: CacheRow) -> str:
    """Elements that a row keeps a token, as the sum or product of its parts' heads and widths.

    >>> from headlight.core.memory.shape import Heads, Latent
    >>> elements_formula(Heads(8, 128, 128)), elements_formula(Latent(512, 64))
    ('8 × (128 + 128)', '(512 + 64)')
    """
    alike = [(heads, [p.width for p in parts]) for heads, parts in groupby(row.parts, lambda p: p.heads or 1)]
    return _sum([(f"{heads} × " if heads > 1 else "") + _sum(widths) for heads, widths in alike])


def _sum(terms: Sequence[int | str]) -> str:
    return str(terms[0]) if len(terms) == 1 else f"({' + '.join(map(str, terms))})"


def formula(shape: CacheShape, precision: Precision, context: int | None = None, batch: int = 1) -> str:
    """How the bytes come about: a token's, or those of `batch` sequences of `context` tokens.

    >>> from headlight.core.memory.precision import PRECISIONS
    >>> from headlight.core.memory.shape import of_heads
    >>> model = of_heads(126, n_heads=128, n_kv_heads=8, head_dim=128)
    >>> formula(model, PRECISIONS["bf16"])
    '126 × 8 × (128 + 128) × 2 B'
    >>> formula(model, PRECISIONS["q8_0"], context=32768, batch=4)
    '126 × 8 × (128 + 128) × 32,768 × 1.0625 B × 4'
    """
    terms = [_term(group, context) for group in shape.groups if group.row is not None] or ["0"]
    text = terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"
    return f"{text} × {number(precision.bytes_per_element)} B" + (f" × {batch}" if batch > 1 else "")


def _term(group: LayerGroup, context: int | None) -> str:
    text = f"{group.count:,} × {row_formula(group)}"
    if context is None:
        return text if group.every == 1 else f"{text} / {group.every}"
    tokens = f"{context:,}" if group.window is None else f"min({context:,}, {group.window:,})"
    return f"{text} × {tokens if group.every == 1 else f'⌊{tokens} / {group.every}⌋'}"
