"""Explore's overview: one number for every head of every layer, and the heads where it is largest."""

from __future__ import annotations

import streamlit as st

from headlight.core.analysis.head_scores import MEASURES, ranked, survey
from headlight.core.types import Run
from headlight.viz.components.chart import chart
from headlight.viz.figures.explore.survey_map import survey_drawing
from headlight.viz.pages.explore.choices import View, state
from headlight.viz.theme import Theme

CHART, TOP = "survey_map", 8


def draw(result: Run, view: View, look: Theme) -> None:
    """Measure menu, ranking and map; a click on either goes to that head. Nothing is computed while it is closed."""
    section = st.expander("Find heads: all layers at a glance", expanded=True, key="survey", on_change="rerun")
    if not section.open:
        return
    with section:
        _choose(view)
        everyone = view.everyone and view.measure != "weight"
        values = survey(result, view.measure, None if everyone else view.query, view.key)
        _ranking(ranked(values, TOP), MEASURES[view.measure].unit, view)
        figure = survey_drawing(
            values.cpu().numpy(), MEASURES[view.measure].unit, chosen=(view.layer, view.head), theme=look
        )
        shape = (values.shape[0], values.shape[1])
        alt = "Every head's value, layer by layer."
        chart(figure, key_name=CHART, alt=alt, shape=shape, on_pick=_pick)


def _choose(view: View) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        titles = {name: measure.title for name, measure in MEASURES.items()}
        state.menu("Rank heads by", "measure", view.measure, list(titles), format_func=titles.__getitem__, width=320)
        state.toggle(
            "Mean over all tokens", "everyone", view.everyone, disabled=view.measure == "weight",
            help="Off: for the selected token alone. The weight on a picked token is always the selected token's.",
        )  # fmt: skip


def _ranking(heads: list[tuple[int, int, float]], unit: str, view: View) -> None:
    if not heads:
        st.caption(
            "This measure says nothing about the first token; pick a later one, or take the mean over all tokens."
        )
        return
    titles = {(layer, head): f"{layer}.{head} · {value:.3f}" for layer, head, value in heads}
    here = (view.layer, view.head)
    state.mirror("ranking", here if here in titles else None)
    st.pills(
        f"Highest (layer.head · {unit})", list(titles), format_func=lambda place: titles.get(place, ""), key="ranking",
        on_change=_ranked,
    )  # fmt: skip


def _ranked() -> None:
    if st.session_state["ranking"] is not None:
        _pick(st.session_state["ranking"])


def _pick(place: tuple[int, int]) -> None:
    state.change(layer=place[0], head=place[1])
