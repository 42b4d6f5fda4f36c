"""Long texts: a whole document, where each head looks in it, zoomable from all of it down to single words."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from headlight.core.errors import HeadlightError, InputError
from headlight.core.long.document import long_texts
from headlight.core.model import Model
from headlight.core.registry import base_of
from headlight.viz import store
from headlight.viz.components.share import share
from headlight.viz.pages.long import findings as long_findings
from headlight.viz.pages.long import map as long_views
from headlight.viz.pages.long import progress as long_wait
from headlight.viz.pages.long import source as long_source
from headlight.viz.pages.long.choices import OWN, LongChoices, models, settle, state
from headlight.viz.pages.long.state import linked, text_of, tokens_of
from headlight.viz.text import markdown_text
from headlight.viz.theme import theme
from headlight.viz.ui.visitor import refused

_NOTES = "long:notes"  # session: what was said while a text was read
_HEADING = (
    "<h1 class='headlight'>Long texts <small>attention over thousands of tokens, exact at every zoom</small></h1>"
)


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    st.html(_HEADING)
    try:
        _page()
    except HeadlightError as error:
        refused(error, "long")


def _page() -> None:
    names = models()
    choices, fresh = state.read()
    notes = st.session_state.pop(_NOTES, []) + fresh
    choices = _there(choices, names, notes)
    box, link = st.columns([8, 1], vertical_alignment="bottom")
    with box:
        long_source.text(choices)
    with link:
        share(key_name="long_share")
    controls = st.container(horizontal=True, vertical_alignment="bottom", key="long_controls")
    messages = st.container()  # always there: what comes and goes inside it leaves the page below where it is
    with controls:
        long_source.model_menu(choices)
    model = store.model(choices.model)
    if not isinstance(model, Model):
        raise InputError(f"{model.title} is run by transformers and cannot be read in parts; Explore shows it")
    tokens, cut = tokens_of(choices.model, text_of(choices) or "")
    choices, more = settle(
        choices, n_layers=model.n_layers, n_heads=model.n_heads, length=len(tokens), causal=model.causal,
        spot=_spot(choices),
    )  # fmt: skip
    with controls:
        long_source.head(choices, model)
    notes += more + long_source.said()
    with messages:
        _messages(choices, [*notes, *cut])
    state.write(choices)
    reading = long_wait.reading(choices.model, tokens)
    if reading is None:
        st.session_state[_NOTES] = notes  # still to be seen when the picture is there
        return
    key = store.readings().key(choices.model, tokens)
    long_views.draw(key)
    store.let_the_browser_draw()
    long_views.heads(choices, key, reading, theme(st.context.theme.type))
    long_findings.draw(key)


def _spot(choices: LongChoices) -> tuple[int, int] | None:
    """The layer and head to begin with, where one is known for the example; the same for a text of one's own."""
    known = {each.name: each.spots for each in long_texts()}
    return known.get(choices.example, next(iter(known.values()))).get(base_of(choices.model))


def _there(choices: LongChoices, names: list[str], notes: list[str]) -> LongChoices:
    """The model and the text that are here; a note where a link asked for others."""
    if choices.model not in names:
        notes.append("The link's model is not here or cannot be read in parts; showing another.")
        choices = replace(choices, model=names[0], layer=None, head=None)
    if text_of(choices) is None:
        if choices.example != OWN:
            notes.append("The link's text isn't an example here; showing another.")
        choices = replace(choices, example=long_texts()[0].name, view=None, query=None, key=None)
    return choices


def _messages(choices: LongChoices, notes: list[str]) -> None:
    refused = long_source.refusal()
    if refused:
        st.warning(markdown_text(f"{refused[:1].upper()}{refused[1:]}."), icon=":material/error:")
    if not linked(choices):
        notes.append("This text is too long for a link: a copied link brings the choices back, not the text.")
    if notes:
        st.info("  \n".join(markdown_text(each) for each in notes), icon=":material/info:")
