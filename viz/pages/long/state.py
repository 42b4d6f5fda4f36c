"""The Long texts page's choices in the session and in the link, and the text that is too long for it."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st
from headlight.core.checkpoints.packages import INSTALL_COMMAND
from headlight.core.errors import MissingModelError
from headlight.core.long.document import long_texts
from headlight.core.registry import MODELS
from headlight.core.types import Tokens
from headlight.viz import store
from headlight.viz.pages.long.choices import LINKED, OWN, LongChoices, from_link, to_link
from headlight.viz.ui.state import Address

address: Address[LongChoices] = Address("long", from_link, to_link)
_VISITOR = "long:visitor"  # session: a name for jobs


def models() -> list[str]:
    """Names of the models that read in parts: those of the registry that are here, SmolLM2 first."""
    rows = store.engine().rows
    names = sorted(
        (name for name in MODELS if name in rows and rows[name].installed), key=lambda name: name != "smollm2"
    )
    if not names:
        raise MissingModelError(f"no model is installed yet; {INSTALL_COMMAND} brings two")
    return names


def visitor() -> str:
    """A name for this session, by which the desk knows who waits."""
    return str(st.session_state.setdefault(_VISITOR, uuid4().hex))


def take(text: str) -> None:
    """For callbacks: a text of the visitor's own, with nothing picked in it."""
    store.keep_own_text(text)
    pasted = text if len(text) <= LINKED else ""
    address.change(example=OWN, pasted=pasted, view=None, query=None, key=None)


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
