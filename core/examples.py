"""Example sentences, each with the heads where there is something to see; read from assets/examples.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from headlight.core import ASSETS
from headlight.core.registry import base_of


@dataclass(frozen=True)
class Spot:
    """A head worth seeing: layer and head from 0, and the words (as pieces without blanks) that look and are looked at."""

    layer: int
    head: int
    query: str
    key: str


@dataclass(frozen=True)
class Example:
    """title: for the menu; text: the sentence; spots: model name -> the head to show first."""

    title: str
    text: str
    spots: Mapping[str, Spot]

    def spot(self, model: str) -> Spot | None:
        """The head to show first in a model, by name; a variant's heads are those of the model that it was made from."""
        return self.spots.get(base_of(model))


def examples() -> list[Example]:
    """All example sentences, the default one first."""
    rows = json.loads((ASSETS / "examples.json").read_text(encoding="utf-8"))
    return [Example(r["title"], r["text"], {m: Spot(**s) for m, s in r["spots"].items()}) for r in rows]


def locate(spot: Spot, pieces: tuple[str, ...]) -> tuple[int, int | None]:
    """Token indices of a spot's query (its last occurrence, else the last token) and key (its last one before; or None)."""
    names = [piece.strip().lower() for piece in pieces]
    query = _last(names, spot.query, len(names))
    query = len(names) - 1 if query is None else query
    return query, _last(names, spot.key, query)


def _last(names: list[str], wanted: str, before: int) -> int | None:
    return next((i for i in range(before - 1, -1, -1) if names[i] == wanted.lower()), None)
