"""A model on cards: weights, caches and what is left, from its shape and what somebody means to do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headlight.core.memory.fit import tokens_that_fit, users_that_fit
from headlight.core.memory.precision import Precision
from headlight.core.memory.shape import CacheShape
from headlight.core.memory.sizes import bytes_at, parts_at, reserved_bytes_at

CONTEXTS = tuple(round(2 ** (n / 2)) for n in range(16, 47))  # 256 to 8,388,608 tokens, two to an octave


@dataclass(frozen=True)
class Deployment:
    """precision: of the cache; context: tokens of each of `batch` sequences; memory: bytes of all cards together; weights:
    bytes, 0 if they are not counted, None if the model's size is not known; reserved: as an engine reserves it that counts
    no windows.

    >>> from headlight.core.memory.precision import PRECISIONS
    >>> from headlight.core.memory.shape import of_heads
    >>> llama = of_heads(32, n_heads=32, n_kv_heads=8, head_dim=128)
    >>> plan = Deployment(llama, PRECISIONS["bf16"], context=8192, batch=4, memory=24 * 10**9, weights=16 * 10**9)
    >>> plan.size, plan.room, plan.tokens, plan.users
    (4294967296, 8000000000, 15258, 7)
    """

    shape: CacheShape
    precision: Precision
    context: int
    batch: int = 1
    memory: int = 80 * 10**9
    weights: int | None = 0
    reserved: bool = False

    @property
    def size(self) -> int:
        """Bytes of the caches of all sequences."""
        return self.size_at(self.context)

    def size_at(self, context: int) -> int:
        """Bytes of the caches at another context."""
        return (reserved_bytes_at if self.reserved else bytes_at)(self.shape, context, self.precision, self.batch)

    @property
    def ideal(self) -> int:
        """Bytes of the caches, windows counted."""
        return bytes_at(self.shape, self.context, self.precision, self.batch)

    @property
    def parts(self) -> Mapping[str, int]:
        """`ideal` by what is kept."""
        return parts_at(self.shape, self.context, self.precision, self.batch)

    @property
    def room(self) -> int | None:
        """Bytes left for caches beside the weights, never below 0; None if the weights are not known."""
        return None if self.weights is None else max(0, self.memory - self.weights)

    @property
    def tokens(self) -> int | None:
        """The longest context whose caches for all sequences fit beside the weights; None if none is too long.

        Where the weights are not known, as if there were none: at most so many.
        """
        room = self.memory if self.room is None else self.room
        return tokens_that_fit(self.shape, room, self.precision, self.batch, reserved=self.reserved)

    @property
    def users(self) -> int | None:
        """How many sequences of this context fit beside the weights; None for any number."""
        room = self.memory if self.room is None else self.room
        return users_that_fit(self.shape, room, self.context, self.precision, reserved=self.reserved)

    def total(self, contexts: Sequence[int]) -> list[int]:
        """Bytes of weights (as far as known) and caches at each context."""
        return [(self.weights or 0) + self.size_at(context) for context in contexts]
