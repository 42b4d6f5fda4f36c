"""Compare's overview: how far every head of the first model is from its counterpart in each other model."""

from __future__ import annotations

import streamlit as st

from headlight.core.analysis.compare import CommonView, best_matches, pairs, same_heads
from headlight.core.errors import InputError
from headlight.viz.components.chart import chart
from headlight.viz.figures import distance_map
from headlight.viz.pages.compare.choices import Comparison, state
from headlight.viz.pages.compare.state import Shown
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme

MOST_CELLS = 2**24  # what matching all heads may take at most: about a third of a second

_SCALE = (
    "Jensen-Shannon distance: the square root of the divergence to base 2 (Lin 1991; Endres and Schindelin 2003), mean over "
    "all tokens of the sentence; 0 is the same picture, 1 has nothing in common. Click a head to see it."
)


def draw(choices: Comparison, shown: Shown, look: Theme) -> None:
    """A map of distances for each other model; nothing is computed while the section is closed."""
    if len(shown.names) < 2:
        return
    section = st.expander("How far apart: all heads at a glance", expanded=True, key="compare_heads", on_change="rerun")
    if not section.open:
        return
    with section:
        st.caption(_SCALE)
        for index, column in enumerate(st.columns(max(2, len(shown.names) - 1), gap="medium")[: len(shown.names) - 1]):
            with column:
                _one(choices, shown, index + 1, look)


def _one(choices: Comparison, shown: Shown, index: int, look: Theme) -> None:
    first, other = shown.readings[0], shown.readings[index]
    try:
        values, matches = _matched(first, other) if choices.matched else (same_heads(first, other).tolist(), None)
    except InputError as error:
        st.caption(markdown_text(f"{shown.title(index)}: {error}."))
        return
    title = f"To the {'best match in' if choices.matched else 'same head of'} {shown.title(index)}"
    figure = distance_map(
        values, title, top=1.0, chosen=(choices.layer or 0, choices.head or 0), matches=matches, theme=look
    )
    alt = f"Distances of the heads of {shown.title(0)}. {title}, layer by layer."
    chart(
        figure, key_name=f"compare_distances_{index}", alt=alt, shape=first.shape,
        on_pick=lambda place: state.change(layer=place[0], head=place[1]),
    )  # fmt: skip


def _matched(first: CommonView, other: CommonView) -> tuple[list[list[float]], list[list[str]]]:
    if pairs(first, other) > MOST_CELLS:
        raise InputError("this text is too long to match every head with every other; the chosen head is matched above")
    found = best_matches(first, other)
    distances = [[match.distance for match in row] for row in found]
    return distances, [[f"layer {match.layer} head {match.head}" for match in row] for row in found]
