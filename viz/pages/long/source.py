"""Long texts: which text, an example, a pasted one or a file; which model, layer and head; what a cell is."""

from __future__ import annotations

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.long.document import decode, long_texts
from headlight.core.model import Model
from headlight.viz import store
from headlight.viz.pages.long.choices import COLOURS, OWN, SHOWS, LongChoices, models, state
from headlight.viz.pages.long.state import take
from headlight.viz.text import markdown_text

_REFUSED, _NOTE = "long:refused", "long:note"  # session: why a file was not taken; what is to be said of one that was


def text(choices: LongChoices) -> None:
    """The row in which a text is chosen."""
    titles = {each.name: each.title for each in long_texts()} | {OWN: "Your own text"}
    with st.container(horizontal=True, vertical_alignment="bottom", key="long_text"):
        shown = [name for name in titles if name != OWN or choices.example == OWN]
        state.menu(
            "Text", "example", choices.example, shown, _example, format_func=lambda name: titles[name], width=330
        )
        with st.popover("Paste a text", icon=":material/content_paste:"), st.form("long_paste", border=False):
            st.text_area(
                "Your text", key="long_pasted", height=220, max_chars=store.engine().limits.long_characters, width=480,
                placeholder="Paste some thousand words here",
            )  # fmt: skip
            st.form_submit_button("Read it", on_click=_pasted, type="primary")
        with st.popover("Open a file", icon=":material/upload_file:"):
            st.file_uploader(
                "A .txt or .md file", type=["txt", "md"], key="long_file", on_change=_file, width=420,
                max_upload_size=max(1, store.engine().settings.uploads.text_bytes // 2**20),
            )  # fmt: skip


def refusal() -> str | None:
    """Why the last file or text was not taken, once."""
    refused: str | None = st.session_state.pop(_REFUSED, None)
    return refused


def said() -> list[str]:
    """What is to be said of a file that was taken, once."""
    note = st.session_state.pop(_NOTE, None)
    return [note] if note else []


def _example(name: str) -> None:
    if name != state.current().example:
        state.change(example=name, view=None, query=None, key=None)


def _pasted() -> None:
    pasted = st.session_state["long_pasted"] or ""
    if pasted.strip():
        take(pasted)
    else:
        st.session_state[_REFUSED] = "there is nothing to read in the text that was pasted"


def _file() -> None:
    uploaded = st.session_state["long_file"]
    if uploaded is None:
        return
    try:
        read, note = decode(uploaded.getvalue(), f"“{uploaded.name}”", store.engine().settings.uploads.text_bytes)
    except HeadlightError as error:
        st.session_state[_REFUSED] = str(error)
        return
    st.session_state[_NOTE] = note
    take(read)


def model_menu(choices: LongChoices) -> None:
    """The menu of models."""
    rows = store.engine().rows
    state.menu(
        "Model", "model", choices.model, models(), _model, format_func=lambda name: rows[name].title, width=170,
        help=markdown_text(rows[choices.model].about),
    )  # fmt: skip


def _model(name: str) -> None:
    if name != state.current().model:
        state.change(model=name, layer=None, head=None, view=None, query=None, key=None)


def head(choices: LongChoices, model: Model) -> None:
    """Layer, head, and what the cells show."""
    state.slider("Layer", "layer", choices.layer, 0, model.n_layers - 1, width=170)
    state.slider("Head", "head", choices.head, 0, model.n_heads - 1, width=170)
    state.segments("A cell shows", "shows", choices.shows, SHOWS, help=_SHOWS_HELP)
    state.segments("Colours", "colours", choices.colours, COLOURS, help=_COLOURS_HELP)


_COLOURS_HELP = "A logarithmic scale shows weights from 0.001 to 1 alike."
_SHOWS_HELP = (
    "Where a cell stands for many tokens: the largest of its weights, or the share of attention that falls on its keys, "
    "averaged over its queries. Both are of the exact weights."
)
