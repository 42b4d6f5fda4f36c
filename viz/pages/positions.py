"""Positions: how a model knows where a token stands, one encoding a section; only the open one computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from core.errors import HeadlightError
from viz.address import mirror
from viz.components.share import share
from viz.pages import (
    positions_alibi,
    positions_learned,
    positions_longer,
    positions_mla,
    positions_order,
    positions_pairs,
    positions_rope,
    positions_sinusoidal,
)
from viz.pages.positions_state import address, fallback
from viz.positions_view import SECTIONS, Positions
from viz.text import markdown_text
from viz.theme import Theme, theme

# A section draws itself and returns the choices, settled to what exists, with notes on what it changed.
Draw = Callable[[Positions, Theme], tuple[Positions, list[str]]]
_DRAWN: Mapping[str, Draw] = {
    "sinusoidal": positions_sinusoidal.draw, "rope": positions_rope.draw, "pairs": positions_pairs.draw,
    "longer": positions_longer.draw, "learned": positions_learned.draw, "alibi": positions_alibi.draw,
    "mla": positions_mla.draw, "order": positions_order.draw,
}  # fmt: skip
_NOTES = "positions_notes"  # session: what the link asked for in vain, to be told once
_HEADING = "<h1 class='headlight'>Positions <small>how attention knows where a token stands</small></h1>"


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    try:
        _page()
    except HeadlightError as error:
        st.error(markdown_text(str(error)), icon=":material/error:")


def _page() -> None:
    start = fallback()
    choices, notes = address.read(start)
    st.html(_HEADING)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        mirror("positions_section", choices.section)
        st.segmented_control(
            "Encoding", list(SECTIONS), format_func=lambda name: SECTIONS[name], key="positions_section", required=True,
            label_visibility="collapsed", on_change=address.change_from, args=("section", "positions_section"),
        )  # fmt: skip
        with st.container(width=140):
            share(key_name="positions_share", on_move=lambda parameters: address.moved(parameters, start))
    st.session_state[_NOTES] = notes
    _section()


@st.fragment
def _section() -> None:
    """The open section. A change of what is in it runs and sends this part of the page alone."""
    choices, notes = address.current(), st.session_state.pop(_NOTES, [])
    messages = st.container()  # always there: what comes and goes inside it leaves the page below where it is
    with st.container(key=f"section_{choices.section}"):
        try:
            choices, more = _DRAWN[choices.section](choices, theme(st.context.theme.type))
        except HeadlightError as error:
            st.warning(markdown_text(f"{str(error)[:1].upper()}{str(error)[1:]}."), icon=":material/error:")
            more = []
    if notes + more:
        messages.info("  \n".join(markdown_text(note) for note in notes + more), icon=":material/info:")
    address.write(choices)
