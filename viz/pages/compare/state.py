"""Compare: what is on screen once every choice is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from headlight.core.analysis.compare import CommonView, Match, best_match, distance, read_alike
from headlight.core.analysis.head_scores import ranked, survey
from headlight.core.errors import HeadlightError, OverloadError
from headlight.core.examples import examples, locate
from headlight.core.types import Run
from headlight.viz import store
from headlight.viz.pages.compare.choices import Comparison, settle

_MATCHES, _MOST_MATCHES = "compare_matches", 24  # session: the matches found last


@dataclass(frozen=True)
class Shown:
    """The models that could read the text, the first being what the others are compared with.

    names: in the registry; readings: their runs on common parts; parts: the names of these; places: (layer, head) of each;
    distances: of each head to the first one, 0 to 1.
    """

    names: tuple[str, ...]
    readings: tuple[CommonView, ...]
    parts: tuple[str, ...]
    places: tuple[tuple[int, int], ...] = ()
    distances: tuple[float, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the parts are the models' own tokens."""
        return self.readings[0].members is None

    def title(self, index: int) -> str:
        """What people call a model."""
        return store.engine().rows[self.names[index]].title

    def label(self, index: int) -> str:
        """A head in full: its model, layer and place."""
        layer, head = self.places[index]
        return f"{self.title(index)} · layer {layer} · head {head}"


def read(models: Sequence[str], text: str) -> tuple[Shown | None, dict[str, str]]:
    """What the models read in a text, and for each that cannot be shown the reason; None if none can."""
    runs, refusals = {}, {}
    for name in models:
        try:
            store.model(name)
            runs[name] = store.run(name, text)
        except OverloadError:
            raise
        except HeadlightError as error:
            refusals[name] = str(error)
    try:
        return _alike(runs), refusals
    except HeadlightError as error:
        return None, dict.fromkeys(models, str(error))


def _alike(runs: dict[str, Run]) -> Shown | None:
    if not runs:
        return None
    parts, readings = read_alike(list(runs.values()))
    return Shown(tuple(runs), tuple(readings), parts)


def complete(choices: Comparison, shown: Shown) -> tuple[Comparison, Shown, list[str]]:
    """Every choice made: settled to what exists, the open ones chosen well, and the heads of the other models found."""
    n_layers, n_heads = limits(choices, shown)
    choices, notes = settle(choices, n_layers=n_layers, n_heads=n_heads, length=len(shown.parts))
    layer, head = _first_head(choices, shown)
    place = min(layer, n_layers - 1), min(head, n_heads - 1)
    choices = replace(choices, layer=place[0], head=place[1])
    pairs = [_partner(shown, index, place, choices.matched) for index in range(1, len(shown.names))]
    places, distances = [place, *(p for p, _ in pairs)], [0.0, *(d for _, d in pairs)]
    return choices, replace(shown, places=tuple(places), distances=tuple(distances)), notes


def limits(choices: Comparison, shown: Shown) -> tuple[int, int]:
    """How many layers and heads there are to choose from: the first model's, or those that all models have."""
    shapes = [reading.shape for reading in shown.readings[: 1 if choices.matched else None]]
    return min(shape[0] for shape in shapes), min(shape[1] for shape in shapes)


def _partner(shown: Shown, index: int, place: tuple[int, int], matched: bool) -> tuple[tuple[int, int], float]:
    if not matched:
        return place, distance(shown.readings[0], place, shown.readings[index], place)
    match = _match(shown, index, place)
    return (match.layer, match.head), match.distance


def _match(shown: Shown, index: int, place: tuple[int, int]) -> Match:
    # Looking through all heads of a large model takes long in a long text, and most clicks change neither.
    kept: dict[tuple[object, ...], Match] = st.session_state.setdefault(_MATCHES, {})
    # The parts, and with them the distance, depend on all models that are compared.
    asked = (shown.names, index, place, shown.readings[0].run.tokens.text)
    found = kept.pop(asked, None) or best_match(shown.readings[0], place, shown.readings[index])
    kept[asked] = found  # the newest last
    while len(kept) > _MOST_MATCHES:
        kept.pop(next(iter(kept)))
    return found


def _first_head(choices: Comparison, shown: Shown) -> tuple[int, int]:
    """The chosen head; else one known for our examples; else the one in which the example's words look at each other most."""
    layer, head = choices.layer, choices.head
    if layer is None or head is None:
        found = _worth_seeing(choices.text, shown)
        layer, head = (found[0] if layer is None else layer), (found[1] if head is None else head)
    return layer, head


def _worth_seeing(text: str, shown: Shown) -> tuple[int, int]:
    example = next((e for e in examples() if e.text == text), examples()[0])
    spot = example.spot(shown.names[0])
    if spot is not None:
        return spot.layer, spot.head
    run = shown.readings[0].run
    query, key = locate(next(iter(example.spots.values())), run.tokens.pieces)
    if key is None:
        return len(run.layers) // 2, 0
    return ranked(survey(run, "weight", query, key), 1)[0][:2]
