"""The address bar and the session: the choices that a link asks for come in, those on screen go out; one `Address` a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import streamlit as st

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")

# What the session remembers beside each page's choices: the page on screen; the sentence that goes along to the next.
_PAGE, _TEXT = "page", "sentence"
_LINK = "link"  # and what the address bar had last
MOST_LINKED = 200_000  # characters of one value of a link: more than any browser's address bar holds


class Address(Generic[C]):
    """One page's choices (a frozen dataclass) in the session and in the link.

    page: its short name; parse(parameters, fallback): the choices that a link asks for, and notes on what it asked for in
    vain; spell(choices): the link's parameters.
    """

    def __init__(
        self,
        page: str,
        parse: Callable[[Mapping[str, str], C], tuple[C, list[str]]],
        spell: Callable[[C], dict[str, str]],
    ) -> None:
        self._page, self._parse, self._spell = page, parse, spell
        self._view, self._changed, self._notes = f"{page}:view", f"{page}:changed", f"{page}:notes"

    def read(self, fallback: C) -> tuple[C, list[str]]:
        """The choices to show, with notes on what the link asked for in vain.

        The address bar is read when a session begins, when the visitor comes from another page by a link, and when they go
        back or forward (`moved`). In between the session knows better: a browser may send an address one change behind.
        """
        came = st.session_state.get(_PAGE) != self._page
        st.session_state[_PAGE] = self._page
        link = st.query_params.to_dict()
        # Going back to another page, the browser first sends the address of the page left; `moved` brings the right one.
        back = came and bool(link) and link == st.session_state.get(_LINK)
        if self._view not in st.session_state or (came and link and not back):
            self.moved({} if back else link, fallback)
        elif came and not back:
            self._bring_text()
            st.session_state[self._changed] = True
        return st.session_state[self._view], st.session_state.pop(self._notes, [])

    def moved(self, link: Mapping[str, str], fallback: C) -> None:
        """For the browser's Back and Forward, and at the start: what another link asks for."""
        bounded = {name[:MOST_LINKED]: value[:MOST_LINKED] for name, value in link.items()}
        st.session_state[self._view], st.session_state[self._notes] = self._parse(bounded, fallback)
        st.session_state[self._changed] = True

    def write(self, choices: C) -> None:
        """Puts the choices into the session and, if something changed, into the address bar: an entry in the history."""
        changed = st.session_state.pop(self._changed, False) or choices != st.session_state[self._view]
        st.session_state[self._view] = choices
        st.session_state[_TEXT] = getattr(choices, "text", st.session_state.get(_TEXT))
        link = self._spell(choices)
        if changed and link != st.query_params.to_dict():
            st.query_params.from_dict(link)
        st.session_state[_LINK] = st.query_params.to_dict()

    def current(self) -> C:
        """The choices of the session, for callbacks."""
        choices: C = st.session_state[self._view]
        return choices

    def change(self, **fields: Any) -> None:
        """For callbacks: the choices with some fields replaced."""
        st.session_state[self._view] = replace(self.current(), **fields)
        st.session_state[self._changed] = True

    def change_from(self, field: str, widget: str) -> None:
        """For a widget's on_change: takes its value into the choices. An emptied choice (None) leaves them as they are."""
        value = st.session_state[widget]
        self.change(**({field: value} if value is not None else {}))

    def _bring_text(self) -> None:
        # The sentence comes along from the page before; what was picked in another one does not.
        text, here = st.session_state.get(_TEXT), st.session_state[self._view]
        if text is not None and hasattr(here, "text") and here.text != text:
            picked = [name for name in ("query", "key") if hasattr(here, name)]
            st.session_state[self._view] = replace(here, text=text, **dict.fromkeys(picked))


def page_on_screen() -> str:
    """The short name of the page that the visitor looks at, "" before there is one."""
    return str(st.session_state.get(_PAGE, ""))


def carried_text(default: str) -> str:
    """The sentence of the page that the visitor comes from, or the default."""
    return str(st.session_state.get(_TEXT) or default)


def mirror(widget: str, value: object) -> None:
    """Before a widget is drawn: gives it the value of the choices. One that has it already is left alone, so that nobody's
    typing is overwritten."""
    if st.session_state.get(widget) != value:
        st.session_state[widget] = value
