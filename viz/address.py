"""The address bar and the session: the view that a link asks for comes in, the view on screen goes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from viz.view import Choices, from_link, to_link

# What the session remembers: the view; whether this run has to write it out; what the link asked for in vain.
_VIEW, _CHANGED, _NOTES = "view", "changed", "notes"


def read(fallback: Choices) -> tuple[Choices, list[str]]:
    """The choices to show, with notes on what its link asked for in vain.

    The address bar is read when a session begins and when the visitor goes back or forward (`moved`). In between the
    session knows better: a browser may send an address that is one change behind.
    """
    if _VIEW not in st.session_state:
        moved(st.query_params.to_dict(), fallback)
    return st.session_state[_VIEW], st.session_state.pop(_NOTES, [])


def current() -> Choices:
    """The choices of the session, for callbacks."""
    return st.session_state[_VIEW]


def moved(link: dict[str, str], fallback: Choices) -> None:
    """For the browser's Back and Forward, and at the start: what another link asks for."""
    st.session_state[_VIEW], st.session_state[_NOTES] = from_link(link, fallback)
    st.session_state[_CHANGED] = True


def write(view: Choices) -> None:
    """Puts the view into the session and, if something changed, into the address bar: an entry in the history."""
    changed = st.session_state.pop(_CHANGED, False) or view != st.session_state[_VIEW]
    st.session_state[_VIEW] = view
    link = to_link(view)
    if changed and link != st.query_params.to_dict():
        st.query_params.from_dict(link)


def change(**fields: Any) -> None:
    """For callbacks: the view with some fields replaced."""
    st.session_state[_VIEW] = replace(st.session_state[_VIEW], **fields)
    st.session_state[_CHANGED] = True


def change_from(field: str, widget: str) -> None:
    """For a widget's on_change: takes its value into the view. An emptied choice (None) leaves the view as it is."""
    value = st.session_state[widget]
    change(**({field: value} if value is not None else {}))


def mirror(widget: str, value: object) -> None:
    """Before a widget is drawn: gives it the view's value. One that has it already is left alone, so that nobody's
    typing is overwritten."""
    if st.session_state.get(widget) != value:
        st.session_state[widget] = value
