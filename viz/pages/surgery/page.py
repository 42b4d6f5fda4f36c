"""Surgery: what if this trained model cached less? Conversions of the literature, live, and what each of them breaks."""

from __future__ import annotations

from functools import partial

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.overload import with_room
from headlight.viz import store
from headlight.viz.components.share import share
from headlight.viz.pages.surgery import controls as surgery_controls
from headlight.viz.pages.surgery import healed as surgery_healed
from headlight.viz.pages.surgery import maps as surgery_maps
from headlight.viz.pages.surgery import quality as surgery_quality
from headlight.viz.pages.surgery import take_away as surgery_export
from headlight.viz.pages.surgery import variants as surgery_variants
from headlight.viz.pages.surgery import why as surgery_why
from headlight.viz.pages.surgery.choices import SurgeryChoices, start, state
from headlight.viz.pages.surgery.state import model_of, settle, shown, spots
from headlight.viz.text import markdown_text
from headlight.viz.theme import theme
from headlight.viz.ui.visitor import in_one_line, refused

_NOTES = "surgery_notes"  # session: what the link asked for in vain, to be told once
_HEADING = "<h1 class='headlight'>Surgery <small>what if this trained model cached less?</small></h1>"


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    with in_one_line():
        _page()


def _page() -> None:
    _, notes = state.read()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(_HEADING)
        with st.container(width=140):
            share(key_name="surgery_share")
    st.session_state[_NOTES] = notes
    _body()
    surgery_healed.draw()
    surgery_variants.draw(theme(st.context.theme.type))


@st.fragment
def _body() -> None:
    """All that a choice changes; it runs and is sent alone."""
    choices, notes = state.current(), st.session_state.pop(_NOTES, [])
    choices, more = _there(choices)
    surgery_controls.text(choices)
    surgery_controls.what(choices)
    messages = st.container()  # always there: what comes and goes inside it leaves the page below where it is
    try:
        choices, even_more = with_room(partial(_operate, choices), store.engine().let_go)
    except HeadlightError as error:
        refused(error, "surgery")
        even_more = []
    told = notes + more + even_more
    if told:
        messages.info("  \n".join(markdown_text(note) for note in told), icon=":material/info:")
    state.write(choices)


def _there(choices: SurgeryChoices) -> tuple[SurgeryChoices, list[str]]:
    rows = store.engine().rows
    if choices.model in rows and rows[choices.model].installed:
        return choices, []
    model = start().model
    title = rows[model].title if model in rows else model
    return SurgeryChoices(choices.text, model=model), [f"The link's model is not on this machine; showing {title}."]


def _operate(choices: SurgeryChoices) -> tuple[SurgeryChoices, list[str]]:
    """Converts the layer on screen and draws it first; what is measured for the whole model comes behind it."""
    model = model_of(choices)
    choices, notes = settle(choices, model)
    run = store.run(choices.model, choices.text)
    choices, more = spots(choices, model, run)
    surgery_controls.numbers(choices, model)
    seen, look = shown(choices, model, run), theme(st.context.theme.type)
    surgery_quality.facts(seen)
    surgery_maps.draw(choices, seen, look)
    store.let_the_browser_draw()
    surgery_quality.draw(choices, seen, look)
    surgery_why.draw(choices, seen, look)
    surgery_export.writes(choices, seen)
    surgery_export.draw(choices, seen)
    return choices, notes + more
