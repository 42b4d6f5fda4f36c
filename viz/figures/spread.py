"""Looks for things by name: known ones keep theirs, new ones take spare ones in turn, so that no name is without a look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TypeVar

Look = TypeVar("Look")


def spread(names: Iterable[str], known: Mapping[str, Look], spare: Sequence[Look]) -> dict[str, Look]:
    """Name -> look, for each of `names`.

    >>> spread(["rope", "new", "newer"], {"rope": "circle"}, ["square", "cross"])
    {'rope': 'circle', 'new': 'square', 'newer': 'cross'}
    """
    more = cycle(spare)
    return {name: known[name] if name in known else next(more) for name in names}
