"""The address bar and the session: the view that a link asks for comes in, the view on screen goes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from viz.view import View, from_link, to_link

# What the session remembers: the view, the link that was last read or written, and whether a control has just changed
# the view. A control's change wins over an address that the browser has not yet caught up with; without one, another
# address means Back, Forward or a link.
_VIEW, _LINK, _TOUCHED = "view", "link", "touched"


def read(fallback: View) -> tuple[View, list[str]]:
    """The view to show, with notes on what the link asked for in vain."""
    link = st.query_params.to_dict()
    touched = st.session_state.pop(_TOUCHED, False)
    if _VIEW in st.session_state and (touched or link == st.session_state.get(_LINK)):
        return st.session_state[_VIEW], []
    return from_link(link, fallback)


def write(view: View) -> None:
    """Puts the view into the session and the address bar; a change makes an entry in the browser's history."""
    st.session_state[_VIEW] = view
    link = to_link(view)
    st.session_state[_LINK] = link
    if link != st.query_params.to_dict():
        st.query_params.from_dict(link)


def change(**fields: Any) -> None:
    """For callbacks: the view with some fields replaced."""
    st.session_state[_VIEW] = replace(st.session_state[_VIEW], **fields)
    st.session_state[_TOUCHED] = True


def change_from(field: str, widget: str) -> None:
    """For a widget's on_change: takes its value into the view. An emptied choice (None) leaves the view as it is."""
    value = st.session_state[widget]
    change(**({field: value} if value is not None else {}))


def mirror(widget: str, value: object) -> None:
    """Before a widget is drawn: gives it the view's value. One that has it already is left alone, so that nobody's
    typing is overwritten."""
    if st.session_state.get(widget) != value:
        st.session_state[widget] = value
