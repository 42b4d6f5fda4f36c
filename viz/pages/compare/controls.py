"""Compare's controls: two to four models, the head of the first, and how the heads of the others are chosen."""

from __future__ import annotations

import streamlit as st

from headlight.core.registry import family_of
from headlight.viz import store
from headlight.viz.pages.compare.choices import MOST, Comparison, state, with_model
from headlight.viz.pages.compare.state import Shown, limits
from headlight.viz.pages.explore.choices import SINKS

_PLACES = ("Compare", "with", "and", "and")
_HEADS = {True: "Best-matching heads", False: "Same layer and head"}


def models(choices: Comparison, names: list[str]) -> None:
    """A menu for each model and an empty one to add another; the third and the fourth can be cleared."""
    rows = store.engine().rows
    count = min(len(choices.models) + 1, MOST, len(names))
    with st.container(horizontal=True, vertical_alignment="bottom", key="compare_models"):
        for place in range(count):
            key = f"compare_model_{place}"
            state.mirror(key, choices.models[place] if place < len(choices.models) else None)
            st.selectbox(
                _PLACES[place], names, index=0 if place < 2 else None, format_func=lambda name: rows[name].title, key=key,
                placeholder="add a model", on_change=_chosen, args=(place, key), width=230,
                help=_HELP if place == 0 else None,
            )  # fmt: skip


_HELP = "The first model is what the others are compared with. Choosing a model that is already shown swaps the two."


def _chosen(place: int, key: str) -> None:
    before, name = state.current(), st.session_state[key]
    after = with_model(before.models, place, name)
    families = {family_of(name) for name in (*before.models, *after)}
    alike = len(families) == 1 and None not in families  # they read the same tokens, so a picked cell stays what it is
    state.change(models=after, **({} if alike else {"query": None, "key": None}))


def heads(choices: Comparison, shown: Shown) -> None:
    """How heads are chosen, layer and head, and the switch of the colour scale."""
    state.segments(
        "Heads", "matched", choices.matched, _HEADS,
        help="Heads of models that were trained apart stand in no common order, so the same number need not mean the same "
        "job. Best-matching: in every other model, of all heads of all layers, the one whose rows are nearest to those of "
        "the head chosen in the first.",
    )  # fmt: skip
    n_layers, n_heads = limits(choices, shown)
    state.slider("Layer", "layer", choices.layer, 0, n_layers - 1, width=160)
    state.slider("Head", "head", choices.head, 0, n_heads - 1, width=160)
    state.toggle("Leave the first token out of the colour scale", "skip_first", choices.skip_first, help=SINKS)
