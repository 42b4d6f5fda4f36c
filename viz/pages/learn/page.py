"""Learn: the story of attention in nine short steps, each with one live figure and a way into the full page."""

from __future__ import annotations

from functools import partial
from typing import Literal

import streamlit as st

from headlight.core import ASSETS
from headlight.core.errors import HeadlightError
from headlight.viz.components.scroll_up import scroll_up
from headlight.viz.pages.learn import looking as learn_looking
from headlight.viz.pages.learn import remembering as learn_remembering
from headlight.viz.pages.learn.choices import STEPS, Learning, beside, state
from headlight.viz.pages.table import open_in
from headlight.viz.theme import Theme
from headlight.viz.ui.sections import Sections
from headlight.viz.ui.visitor import refused

TEXTS = ASSETS / "learn"
_DRAWN = {
    "attention": learn_looking.attention, "order": learn_looking.order, "rope": learn_looking.rope,
    "heads": learn_looking.heads, "cache": learn_remembering.cache, "sharing": learn_remembering.sharing,
    "latent": learn_remembering.latent, "decoupled": learn_remembering.decoupled, "gains": learn_remembering.gains,
}  # fmt: skip


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    _SECTIONS.page()


def words(step: str) -> tuple[str, str, list[str]]:
    """Title, text (Markdown) and sources of a step, as they lie in assets/learn."""
    told, _, sources = (TEXTS / f"{step}.md").read_text(encoding="utf-8").partition("\n---\n")
    title, _, text = told.removeprefix("# ").partition("\n")
    return title, text.strip(), sources.strip().splitlines()


def _draw(step: str, choices: Learning, look: Theme) -> tuple[Learning, list[str]]:
    title, text, sources = words(step)
    scroll_up(step, key_name="learn_scroll")
    left, right = st.columns([5, 6], gap="large")
    with left:
        st.markdown(f"#### {list(STEPS).index(step) + 1} · {title}")
        st.markdown(text)
    with right:
        try:
            path, label, link = _DRAWN[step](choices, look)
            open_in(path, label, link)
        except HeadlightError as error:
            refused(error, "learn")
    st.caption("Sources: " + " · ".join(sources))
    _turn(step)
    return choices, []


def _turn(step: str) -> None:
    """Back and Next, below the step, where reading ends."""
    with st.container(horizontal=True, key="learn_turn"):
        for by, word, icon in ((-1, "Back", "arrow_back"), (1, "Next", "arrow_forward")):
            other = beside(step, by)
            label = f"{word}: {STEPS[other]}" if other else word
            kind: Literal["primary", "secondary"] = "primary" if by == 1 else "secondary"
            if st.button(
                label, key=f"learn_{word.lower()}", disabled=other is None, icon=f":material/{icon}:", type=kind
            ):
                state.change(section=other)
                st.rerun()  # the whole page: the row of steps is outside this part


_SECTIONS = Sections(
    "learn",
    "<h1 class='headlight'>Learn <small>attention and its memory, in nine steps of a minute or two</small></h1>",
    "Step",
    STEPS,
    {step: partial(_draw, step) for step in STEPS},
    state,
)
