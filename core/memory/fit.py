"""What fits: weights and caches on a card of a given memory. A GPU's GB is counted as 10^9 bytes."""

from __future__ import annotations

import math

from headlight.core.memory.bounds import MAX_BYTES, MAX_PARAMETERS, MAX_TOKENS, whole
from headlight.core.memory.precision import Precision
from headlight.core.memory.shape import CacheShape
from headlight.core.memory.sizes import bytes_at, reserved_bytes_at

GB = 10**9
GPUS = (24, 40, 80, 96, 141, 192)  # GB of cards in use


def weights_bytes(parameters: int, precision: Precision) -> int:
    """Bytes of a model's weights.

    >>> from headlight.core.memory.precision import PRECISIONS
    >>> weights_bytes(8_000_000_000, PRECISIONS["bf16"])
    16000000000
    """
    return math.ceil(whole("parameters", parameters, MAX_PARAMETERS) * precision.bytes_per_element)


def tokens_that_fit(
    shape: CacheShape, room: int, precision: Precision, batch: int = 1, *, reserved: bool = False
) -> int | None:
    """The longest context whose cache for `batch` sequences takes at most `room` bytes; None where no context is too long
    (of those that are counted here, up to MAX_TOKENS).

    reserved: as an engine reserves it, every layer whole pages for every token (`reserved_bytes_at`).
    """
    whole("room", room, MAX_BYTES, least=0)
    size = reserved_bytes_at if reserved else bytes_at
    if size(shape, MAX_TOKENS, precision, batch) <= room:
        return None
    fits, too_many = 0, MAX_TOKENS
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if size(shape, middle, precision, batch) <= room else (fits, middle)
    return fits


def users_that_fit(
    shape: CacheShape, room: int, context: int, precision: Precision, *, reserved: bool = False
) -> int | None:
    """How many sequences of `context` tokens have their caches in `room` bytes; None where a cache takes nothing."""
    whole("room", room, MAX_BYTES, least=0)
    one = (reserved_bytes_at if reserved else bytes_at)(shape, context, precision)
    return room // one if one else None
