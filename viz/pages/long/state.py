"""Long texts: the text that is read, which may be too long for a link."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st

from headlight.core.long.document import long_texts
from headlight.core.types import Tokens
from headlight.viz import store
from headlight.viz.pages.long.choices import LINKED, OWN, LongChoices, state

_VISITOR = "long:visitor"  # session: a name for jobs


def visitor() -> str:
    """A name for this session, by which the queue knows who waits."""
    return str(st.session_state.setdefault(_VISITOR, uuid4().hex))


def take(text: str) -> None:
    """For callbacks: a text of the visitor's own, with nothing picked in it."""
    store.keep_own_text(text)
    pasted = text if len(text) <= LINKED else ""
    state.change(example=OWN, pasted=pasted, view=None, query=None, key=None)


def text_of(choices: LongChoices) -> str | None:
    """The text to read; None for one of the visitor's own that this session does not have."""
    if choices.example == OWN:
        return choices.pasted or store.own_text()
    return next((each.text for each in long_texts() if each.name == choices.example), None)


def linked(choices: LongChoices) -> bool:
    """Whether a link brings the text back."""
    return choices.example != OWN or bool(choices.pasted)


def tokens_of(name: str, text: str) -> tuple[Tokens, list[str]]:
    """The text as the model reads it, cut to what it can, with notes."""
    tokens, notes = store.document(name, text)
    return tokens, list(notes)
