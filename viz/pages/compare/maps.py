"""Compare's pictures: each model's head on one scale, and what the others do more or less than the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from headlight.viz.components.chart import chart
from headlight.viz.figures import difference_map, weight_map
from headlight.viz.figures.compare.maps import difference, difference_limit
from headlight.viz.figures.explore.head_map import colour_top, visible_weights
from headlight.viz.pages.compare.choices import Comparison, state
from headlight.viz.pages.compare.state import Shown
from headlight.viz.text import markdown_text, shorten, visible
from headlight.viz.theme import Theme

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go

_PARTS = (
    "These models cut the text into different tokens, so they are compared on the smallest parts of it that are whole tokens "
    "for all: a row is the mean over the part's tokens, a cell the sum. Weight on special tokens ([CLS], [SEP], …) and bare "
    "blanks has no cell; rows add up to that much less than 1, and in the distance it counts as one outcome more."
)


def draw(choices: Comparison, shown: Shown, look: Theme) -> None:
    """Maps side by side; with two models their difference beside them, else in a row of its own."""
    maps = [_numbers(shown, index) for index in range(len(shown.names))]
    width = max(len(maps), 3)
    top = row = st.columns(width, gap="small")
    for index in range(len(maps)):
        with top[index]:
            _weights(choices, shown, maps, index, width, look)
    if len(maps) > 2:
        row = st.columns(width, gap="small")
    for index in range(1, len(maps)):
        with row[2 if len(maps) == 2 else index]:
            _difference(choices, shown, maps, index, width, look)
    with row[0] if len(maps) > 2 else st.container():
        _words(choices, shown, maps)


def _numbers(shown: Shown, index: int) -> np.ndarray:
    layer, head = shown.places[index]
    reading = shown.readings[index]
    return visible_weights(reading.weights(layer)[head].numpy(), reading.mask(layer).numpy())


def _weights(choices: Comparison, shown: Shown, maps: list, index: int, width: int, look: Theme) -> None:  # type: ignore[type-arg]
    legend = "weight, first token left out of the scale" if choices.skip_first else "weight, one scale for all maps"
    figure = weight_map(
        maps[index], shown.parts, shown.label(index), top=max(colour_top(each, choices.skip_first) for each in maps),
        legend=legend if index == 0 else None, narrow=width > 3, theme=look,
    )  # fmt: skip
    _chart(figure, f"compare_map_{index}", shown.label(index), choices, shown)
    st.caption(markdown_text(_told(choices, shown, index)))


def _told(choices: Comparison, shown: Shown, index: int) -> str:
    layer, head = shown.places[index]
    value = f"{shown.distances[index]:.3f}"
    if index == 0:
        return (
            "The head that the others are compared with."
            if len(shown.names) > 1
            else "There is nothing to compare it with."
        )
    if choices.matched:
        return (
            f"Matched by smallest mean Jensen-Shannon distance over the sentence: layer {layer} head {head}, {value}."
        )
    return f"Mean Jensen-Shannon distance over the sentence: {value} (0: the same, 1: nothing in common)."


def _difference(choices: Comparison, shown: Shown, maps: list, index: int, width: int, look: Theme) -> None:  # type: ignore[type-arg]
    limit = difference_limit([difference(maps[0], other) for other in maps[1:]])
    title = f"{shown.title(index)} minus {shown.title(0)}"
    figure = difference_map(
        maps[0], maps[index], shown.parts, title, limit=limit,
        legend="purple: less, orange: more weight" if index == 1 else None, narrow=width > 3, theme=look,
    )  # fmt: skip
    _chart(figure, f"compare_difference_{index}", title, choices, shown)
    largest = abs(difference(maps[0], maps[index]))
    st.caption(f"Largest difference of a cell: {largest[largest == largest].max():.3f}.")  # NaN is not equal to itself


def _chart(figure: go.Figure, key_name: str, alt: str, choices: Comparison, shown: Shown) -> None:
    size = len(shown.parts)
    picked = None if choices.query is None or choices.key is None else (choices.query, choices.key)
    chart(
        figure, key_name=key_name, alt=f"Attention map. {alt}.", file_name="headlight-compare", shape=(size, size),
        picked=picked, token_map=True, on_pick=lambda cell: state.change(query=cell[0], key=cell[1]),
    )  # fmt: skip


def _words(choices: Comparison, shown: Shown, maps: list) -> None:  # type: ignore[type-arg]
    """The picked cell in every model, and how models with different tokens were made comparable."""
    if choices.query is None or choices.key is None:
        st.caption("Click a cell to read its number in every model.")
    else:
        looks, at = (shorten(visible(shown.parts[i]), 24) for i in (choices.query, choices.key))
        values = [each[choices.query, choices.key] for each in maps]
        told = [f"{shown.title(i)} {_weight(value)}" for i, value in enumerate(values)]
        st.text(f"“{looks}” looks at “{at}”: {', '.join(told)}")
    if not shown.whole:
        st.caption(markdown_text(_PARTS))


def _weight(value: float) -> str:
    return f"{value:.3f}" if value == value else "masked (it comes later)"
