"""A page of several sections of which one is open: its heading, its choice of section, and the open one in a fragment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.overload import with_room
from headlight.core.serving import metrics
from headlight.viz import store
from headlight.viz.components.share import share
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme, theme
from headlight.viz.ui.state import PageState
from headlight.viz.ui.visitor import in_one_line, refused

C = TypeVar("C")
# A section draws itself and returns the choices, settled to what exists, with notes on what it changed.
Draw = Callable[[C, Theme], tuple[C, list[str]]]


@dataclass(frozen=True)
class Sections(Generic[C]):
    """name: the page's short name, before its widgets' keys; heading: its HTML; label: what is chosen, for screen readers;
    titles: section -> what is on its button; drawn: section -> what draws it; state: the page's, whose choices have a
    field `section`.
    """

    name: str
    heading: str
    label: str
    titles: Mapping[str, str]
    drawn: Mapping[str, Draw[C]]
    state: PageState[Any]

    def page(self) -> None:
        """The whole page; what Headlight refuses on purpose becomes one line."""
        with in_one_line():
            self._page()

    def _page(self) -> None:
        choices, notes = self.state.read()
        st.html(self.heading)
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            self.state.segments(self.label, "section", choices.section, self.titles, label_visibility="collapsed")
            with st.container(width=140):
                share(key_name=f"{self.name}_share")
        st.session_state[f"{self.name}_notes"] = notes
        _open(self)


@st.fragment
def _open(sections: Sections[Any]) -> None:
    """The open section. A change of what is in it runs and sends this part of the page alone."""
    choices = sections.state.current()
    notes = st.session_state.pop(f"{sections.name}_notes", [])  # what the link asked for in vain, to be told once
    messages = st.container()  # always there: what comes and goes inside it leaves the page below where it is
    with st.container(key=f"section_{choices.section}"):
        try:
            draw = partial(sections.drawn[choices.section], choices, theme(st.context.theme.type))
            with metrics.request("section", page=f"{sections.name}/{choices.section}"):
                choices, more = with_room(draw, store.engine().let_go)
        except HeadlightError as error:
            refused(error, sections.name)
            more = []
    if notes + more:
        messages.info("  \n".join(markdown_text(note) for note in notes + more), icon=":material/info:")
    sections.state.write(choices)
