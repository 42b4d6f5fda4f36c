"""Compare: one sentence in two to four models, their heads side by side, and what happens if the words change places."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from headlight.core.checkpoints.packages import INSTALL_COMMAND
from headlight.core.errors import HeadlightError, OverloadError
from headlight.core.examples import examples
from headlight.viz import store
from headlight.viz.components.share import share
from headlight.viz.pages.compare import controls as compare_controls
from headlight.viz.pages.compare import distances as compare_distances
from headlight.viz.pages.compare import maps as compare_maps
from headlight.viz.pages.compare import word_order as compare_order
from headlight.viz.pages.compare.choices import Comparison, completed, start, state
from headlight.viz.pages.compare.state import Shown, complete, read
from headlight.viz.pages.explore.choices import installed_models
from headlight.viz.text import markdown_text
from headlight.viz.theme import theme
from headlight.viz.ui.visitor import refused

_HEADING = "<h1 class='headlight'>Compare <small>one sentence in two to four models, head beside head</small></h1>"
_SHOWN = "compare_shown"  # session: the last text that could be read


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    try:
        _page()
    except HeadlightError as error:
        refused(error, "compare")


def _page() -> None:
    names = installed_models()
    if len(names) < 2:
        st.error(f"Comparing needs two models. Where Headlight is installed, run:\n\n`{INSTALL_COMMAND}`")
        return
    choices, notes = state.read()
    choices, more = _there(choices, names)
    st.html(_HEADING)
    _ask_for_text(choices)
    compare_controls.models(choices, names)
    controls = st.container(horizontal=True, vertical_alignment="bottom", key="compare_controls")
    messages = st.container()  # always there: what comes and goes inside it leaves the page below where it is
    with messages:
        shown = _read(choices)
    if shown is None:
        state.write(choices)
        return
    choices, shown, even_more = complete(choices, shown)
    with controls:
        compare_controls.heads(choices, shown)
    if notes + more + even_more:
        messages.info("  \n".join(notes + more + even_more), icon=":material/info:")
    state.write(choices)
    look = theme(st.context.theme.type)
    compare_maps.draw(choices, shown, look)
    store.let_the_browser_draw()
    compare_distances.draw(choices, shown, look)
    compare_order.draw(choices, shown, names, look)


def _there(choices: Comparison, names: list[str]) -> tuple[Comparison, list[str]]:
    """Only models that are on this machine, and a note where the link asked for others."""
    there = tuple(name for name in choices.models if name in names)
    models = completed(there, (*start().models, *names))
    notes = []
    if len(there) < len(choices.models):
        titles = ", ".join(markdown_text(store.engine().rows[name].title) for name in models)
        notes.append(f"A model of the link is not on this machine; showing {titles}.")
        choices = replace(choices, models=models, query=None, key=None)
    if choices.subject is not None and choices.subject not in names:
        notes.append("The link's model for the order of words is not on this machine; using another.")
        choices = replace(choices, subject=None)
    return choices, notes


def _ask_for_text(choices: Comparison) -> None:
    box, menu, link = st.columns([6, 1, 1], vertical_alignment="bottom")
    state.text(
        "Sentence", "text", choices.text, store.engine().limits.max_characters, _new_text, box, live=True,
        placeholder="Type a sentence, or pick an example", help="The pictures follow as you type.",
    )  # fmt: skip
    texts = {example.title: example.text for example in examples()}
    menu.menu_button(
        "Examples", list(texts), key="compare_example", icon=":material/lightbulb:", width="stretch",
        on_click=lambda: _new_text(texts.get(st.session_state["compare_example"])),
    )  # fmt: skip
    with link:
        share(key_name="compare_share")


def _new_text(text: str | None) -> None:
    if text is not None:
        state.change(text=text, query=None, key=None)


def _read(choices: Comparison) -> Shown | None:
    """What the models read; one that cannot is left out with a line; where none can, the last text that could be read."""
    try:
        shown, refusals = read(choices.models, choices.text)
    except OverloadError as error:  # all models read the same text, so the last one that they all could
        if (last := st.session_state.get(_SHOWN)) is None:
            raise
        shown, _ = read(choices.models, last)
        refused(error, "compare", "Below is the last sentence that could be read.")
        return shown
    if shown is None:
        message = next(iter(refusals.values()))
        last = st.session_state.get(_SHOWN)
        shown = read(choices.models, last)[0] if last is not None else None
        then = "The examples are a good start." if shown is None else "Below is the last sentence that could be read."
        st.warning(markdown_text(f"{message[:1].upper()}{message[1:]}. {then}"), icon=":material/edit:")
        return shown
    st.session_state[_SHOWN] = choices.text
    for name, message in refusals.items():
        line = f"{store.engine().rows[name].title} is left out: {message}."
        st.warning(markdown_text(line), icon=":material/error:")
    return shown
