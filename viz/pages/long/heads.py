"""Long texts, all heads: local ones, ones that look far, ones that copy, ones that rest, found and ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.long.profile import SCORES
from headlight.core.long.reading import Reading
from headlight.core.serving import long_curves as long_measures
from headlight.viz import store
from headlight.viz.components.chart import chart
from headlight.viz.figures import survey_map
from headlight.viz.pages.long.choices import LongChoices, state
from headlight.viz.theme import Theme

if TYPE_CHECKING:
    import numpy as np

TOP = 10
PICKED = "long:picked"  # session: a head was picked here, which all of the page is to show
_ABOUT = {
    "near": "Local heads look at what was just read, wherever they are in the text.",
    "far": "Heads that look far back carry what a long text is read for; those that copy, too, are called retrieval heads "
    "(Wu et al. 2024, arXiv 2404.15574).",
    "copied": "Induction heads look at what came after the same token before (Olsson et al. 2022, arXiv 2209.11895); the "
    "example that repeats a passage shows them best.",
    "first": "The first token holds no more than others; heads rest on it (Xiao et al. 2023, arXiv 2309.17453).",
}


def draw(choices: LongChoices, key: str, reading: Reading, look: Theme) -> None:
    """The measure, the highest heads, and a map of all; a click goes to a head."""
    state.menu(
        "Rank heads by the share of attention", "score", choices.score, list(SCORES), format_func=SCORES.__getitem__,
        width=420,
    )  # fmt: skip
    place = st.empty()
    values = long_measures.all_scores(
        store.readings(), key, reading, lambda done: place.progress(done, text="Measuring all heads…")
    )
    place.empty()
    shown = values[list(SCORES).index(choices.score)]
    _ranking(shown, choices)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        figure = survey_map(shown, "weight", chosen=(choices.layer or 0, choices.head or 0), theme=look)
        chart(
            figure, key_name="long_survey", alt="Every head's share, layer by layer.", shape=shown.shape, on_pick=_pick,
            file_name="headlight-heads",
        )  # fmt: skip
    with right:
        st.markdown(_ABOUT[choices.score])
        queries = min(len(reading.tokens), long_measures.QUERIES)
        st.caption(
            f"Means over {queries:,} tokens that look, evenly spread over the {len(reading.tokens):,} of this text; each with "
            "its exact weights."
        )


def _ranking(values: np.ndarray, choices: LongChoices) -> None:  # (n_layers, n_heads)
    order = sorted(
        (
            (float(value), layer, head)
            for layer, row in enumerate(values)
            for head, value in enumerate(row)
            if value == value
        ),
        key=lambda each: (-each[0], each[1:]),
    )[:TOP]
    if not order:
        st.caption("This measure needs a longer text.")
        return
    titles = {(layer, head): f"{layer}.{head} · {value:.3f}" for value, layer, head in order}
    here = (choices.layer or 0, choices.head or 0)
    state.mirror("long_ranking", here if here in titles else None)
    st.pills(
        "Highest (layer.head · share)", list(titles), format_func=lambda place: titles.get(place, ""), key="long_ranking",
        on_change=_ranked,
    )  # fmt: skip


def _ranked() -> None:
    if st.session_state["long_ranking"] is not None:
        _pick(st.session_state["long_ranking"])


def _pick(place: tuple[int, int]) -> None:
    state.change(layer=place[0], head=place[1])
    st.session_state[PICKED] = True
