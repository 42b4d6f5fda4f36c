"""Caches of several models as CSV: bytes per token and at a context, as they follow from the shapes."""

from __future__ import annotations

from collections.abc import Sequence

from headlight.core.export.table import sheet
from headlight.core.memory.config.wording import formula
from headlight.core.memory.fit import tokens_that_fit, users_that_fit
from headlight.core.memory.precision import Precision
from headlight.core.memory.shape import CacheShape
from headlight.core.memory.sizes import bytes_at, bytes_per_token, growing_bytes_per_token, reserved_bytes_at

_HEADINGS = (
    "model", "bytes per token", "of which growing", "context", "sequences", "bytes", "reserved bytes", "room",
    "tokens that fit", "sequences that fit", "formula",
)  # fmt: skip


def to_csv(
    shapes: Sequence[CacheShape], precisions: Sequence[Precision], context: int, batch: int, rooms: Sequence[int]
) -> str:
    """A row a model, each with its precision and its room (bytes left for the cache); empty: however long a text is."""
    return sheet(_HEADINGS, (
        [
            shape.name, bytes_per_token(shape, bits), growing_bytes_per_token(shape, bits), context, batch,
            bytes_at(shape, context, bits, batch), reserved_bytes_at(shape, context, bits, batch), room,
            tokens_that_fit(shape, room, bits, batch), users_that_fit(shape, room, context, bits),
            formula(shape, bits, context, batch),
        ]
        for shape, bits, room in zip(shapes, precisions, rooms, strict=True)
    ))  # fmt: skip


def curves_to_csv(
    shapes: Sequence[CacheShape], precisions: Sequence[Precision], contexts: Sequence[int], batch: int
) -> str:
    """A row a context, a column a model: bytes of the cache."""
    pairs = list(zip(shapes, precisions, strict=True))
    rows = ([context, *(bytes_at(shape, context, bits, batch) for shape, bits in pairs)] for context in contexts)
    return sheet(["context", *(shape.name for shape in shapes)], rows)
