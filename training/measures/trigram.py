"""Trigrams with interpolated Kneser-Ney smoothing (Kneser and Ney 1995; Chen and Goodman 1999, section 2.7).

What a model that sees two tokens back would reach; every row is read from START on, as the siblings read it.

    p(c | a b) = max(n(a b c) - D, 0) / n(a b) + D · kinds(a b ·) / n(a b) · p(c | b)

and likewise p(c | b) and p(c), in which the counts are how many different tokens stand before; below p(c) everything is
equally likely. D = n1 / (n1 + 2 n2), from how many n-grams were seen once and twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from training.text.tokens import START

Ids = Int[np.ndarray, "rows seq"]


@dataclass(frozen=True, eq=False)
class Counts:
    """N-grams of one order, packed into one number each and sorted; the last token is the one predicted.

    grams: packed n-grams; counts: how often each was seen; contexts, totals, kinds: packed contexts, how often each was
    seen, and how many different tokens followed it.
    """

    vocab_size: int
    grams: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    kinds: np.ndarray

    @classmethod
    def of(cls, vocab_size: int, grams: np.ndarray, counts: np.ndarray) -> Counts:
        """From different packed n-grams, sorted, and their counts."""
        contexts, first, kinds = np.unique(grams // vocab_size, return_index=True, return_counts=True)
        return cls(vocab_size, grams, counts, contexts, np.add.reduceat(counts, first), kinds)

    @property
    def discount(self) -> float:
        """D, taken off every count."""
        once, twice = np.sum(self.counts == 1), np.sum(self.counts == 2)
        return float(once / (once + 2 * twice)) if once else 0.5

    def smoothed(self, grams: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """The probability of each n-gram's last token, given what the next shorter n-gram says."""
        seen = _look_up(self.grams, self.counts, grams)
        total, kinds = (_look_up(self.contexts, value, grams // self.vocab_size) for value in (self.totals, self.kinds))
        known = np.maximum(total, 1)
        mixed = np.maximum(seen - self.discount, 0) / known + self.discount * kinds / known * lower
        return np.where(total > 0, mixed, lower)


@dataclass(frozen=True, eq=False)
class Trigram:
    """The three orders, longest first."""

    vocab_size: int
    orders: Sequence[Counts]

    @classmethod
    def learn(cls, rows: Ids, vocab_size: int) -> Trigram:
        """Counts the rows (without START, which is put before each)."""
        three = Counts.of(vocab_size, *np.unique(_pack(rows, vocab_size), return_counts=True))
        two = Counts.of(vocab_size, *np.unique(three.grams % vocab_size**2, return_counts=True))
        one = Counts.of(vocab_size, *np.unique(two.grams % vocab_size, return_counts=True))
        return cls(vocab_size, (three, two, one))

    def losses(self, rows: Ids) -> Float[np.ndarray, "rows seq"]:
        """-log p of every token, in nats."""
        packed = _pack(rows, self.vocab_size)
        probability = np.full(packed.shape, 1 / self.vocab_size)
        for order, counts in zip((1, 2, 3), reversed(self.orders), strict=True):
            probability = counts.smoothed(packed % self.vocab_size**order, probability)
        return -np.log(probability).reshape(rows.shape)


def _pack(rows: Ids, vocab_size: int) -> np.ndarray:
    # (a, b, c) -> a V² + b V + c, for every token c of every row; before a row stands START alone.
    padded = np.concatenate([np.full((len(rows), 2), START), rows], axis=1).astype(np.int64)
    a, b, c = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    return (a * vocab_size**2 + b * vocab_size + c).ravel()


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)
