"""Surgery's controls: sentence, model, method and its one number, and which layer and head are looked at."""

from __future__ import annotations

from dataclasses import fields

import streamlit as st

from headlight.core.attention import GQA
from headlight.core.examples import examples
from headlight.core.model import Model
from headlight.core.surgery.base import heads_of
from headlight.core.surgery.methods import METHODS
from headlight.core.surgery.rotary import CHOICES
from headlight.viz import store
from headlight.viz.pages.explore.choices import installed_models
from headlight.viz.pages.surgery.choices import MOST_SEED, ROTARY, SurgeryChoices, state

_SCOPES = {False: "This layer alone", True: "All layers"}
_SCOPE_HELP = (
    "This layer alone: it reads what it read before, so the difference is its own. All layers: every layer is converted, and "
    "what reaches this one has changed, too."
)


def text(choices: SurgeryChoices) -> None:
    """The sentence and the examples."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="surgery_row_text"):
        state.text(
            "Sentence", "text", choices.text, store.engine().limits.max_characters, _new_text, live=True,
            placeholder="Type a sentence, or pick an example",
        )  # fmt: skip
        texts = {example.title: example.text for example in examples()}
        st.menu_button(
            "Examples", list(texts), key="surgery_example", icon=":material/lightbulb:", width=150,
            on_click=lambda: _new_text(texts.get(st.session_state["surgery_example"])),
        )  # fmt: skip


def _new_text(value: str | None) -> None:
    if value is not None:
        state.change(text=value, query=None, key=None)


def what(choices: SurgeryChoices) -> None:
    """Model and method; the model's numbers begin anew with another model."""
    rows = store.engine().rows
    with st.container(horizontal=True, vertical_alignment="bottom", key="surgery_row_what"):
        state.menu(
            "Model", "model", choices.model, installed_models(), _new_model, format_func=lambda name: rows[name].title,
            width=210,
        )  # fmt: skip
        titles = {name: method.title for name, method in METHODS.items()}
        state.menu("Conversion", "method", choices.method, list(titles), format_func=titles.__getitem__, width=360)
    st.caption(f"{choices.conversion.about} *{choices.conversion.source}*")


def _new_model(name: str) -> None:
    now = state.current()
    fresh = SurgeryChoices(now.text, model=name, method=now.method, whole=now.whole)
    state.change(**{field.name: getattr(fresh, field.name) for field in fields(fresh)})


def numbers(choices: SurgeryChoices, model: Model) -> None:
    """The method's number and what else it asks for, and where to look."""
    source = heads_of(model.attention)
    if source is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="surgery_row_numbers"):
        _setting(choices, source)
        if choices.method == "decoupled":
            _decoupled(choices, source)
        if choices.method in ("random", "fresh"):
            state.number("Seed", "seed", choices.seed, 0, MOST_SEED, width=120)
        state.slider("Layer", "layer", choices.layer, 0, model.n_layers - 1, width=170)
        state.slider("Head", "head", choices.head, 0, model.n_heads - 1, width=170)
        state.segments("Convert for the maps", "whole", choices.whole, _SCOPES, help=_SCOPE_HELP)


def _setting(choices: SurgeryChoices, source: GQA) -> None:
    there = choices.conversion.settings(source)
    if choices.conversion.counts == "rank":
        state.slider("Rank of the latent", "rank", choices.rank, there[0], there[-1], width=300)
    elif len(there) == 1:
        st.text(f"KV heads: {there[0]}, one for each query head")
    else:
        about = f"They must divide the {source.n_kv_heads} that there are."
        state.steps("KV heads left", "heads", choices.heads, there, width=260, help=about)


def _decoupled(choices: SurgeryChoices, source: GQA) -> None:
    widths = sorted({n for n in ROTARY if n < source.head_dim} | {choices.rotary})
    about = f"Of the {source.head_dim} of each key; of every KV head they are cached."
    state.steps("Rotary dimensions kept", "rotary", choices.rotary, widths, width=200, help=about)
    state.menu("Which", "choice", choices.choice, list(CHOICES), format_func=CHOICES.__getitem__, width=250)
    state.toggle(
        "Plain SVD", "plain", choices.plain,
        help="Off: the latent is weighted by activations. On: the weights alone count, as in MHA2MLA.",
    )  # fmt: skip
