"""Surgery's controls: sentence, model, method and its one number, and which layer and head are looked at."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from headlight.core.attention import GQA
from headlight.core.examples import examples
from headlight.core.model import Model
from headlight.core.surgery.base import heads_of
from headlight.core.surgery.conversions.rotary import CHOICES
from headlight.core.surgery.methods import METHODS
from headlight.viz import store
from headlight.viz.pages.surgery.choices import MOST_SEED, ROTARY, SurgeryChoices
from headlight.viz.pages.surgery.state import address
from headlight.viz.ui.state import mirror

_SCOPES = {False: "This layer alone", True: "All layers"}
_SCOPE_HELP = (
    "This layer alone: it reads what it read before, so the difference is its own. All layers: every layer is converted, and "
    "what reaches this one has changed, too."
)


def text(choices: SurgeryChoices) -> None:
    """The sentence and the examples."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="surgery_row_text"):
        mirror("surgery_text", choices.text)
        st.text_input(
            "Sentence", key="surgery_text", live=True, max_chars=store.engine().limits.max_characters,
            on_change=lambda: _new_text(st.session_state["surgery_text"]), placeholder="Type a sentence, or pick an example",
        )  # fmt: skip
        texts = {example.title: example.text for example in examples()}
        st.menu_button(
            "Examples", list(texts), key="surgery_example", icon=":material/lightbulb:", width=150,
            on_click=lambda: _new_text(texts.get(st.session_state["surgery_example"])),
        )  # fmt: skip


def _new_text(value: str | None) -> None:
    if value is not None:
        address.change(text=value, query=None, key=None)


def what(choices: SurgeryChoices) -> None:
    """Model and method; the model's numbers begin anew with another model."""
    rows = store.engine().rows
    names = [name for name, row in rows.items() if row.installed]
    with st.container(horizontal=True, vertical_alignment="bottom", key="surgery_row_what"):
        mirror("surgery_model", choices.model)
        st.selectbox(
            "Model", names, format_func=lambda name: rows[name].title, key="surgery_model", width=210, on_change=_new_model
        )  # fmt: skip
        mirror("surgery_method", choices.method)
        st.selectbox(
            "Conversion", list(METHODS), format_func=lambda name: METHODS[name].title, key="surgery_method", width=360,
            on_change=address.change_from, args=("method", "surgery_method"),
        )  # fmt: skip
    st.caption(f"{choices.conversion.about} *{choices.conversion.source}*")


def _new_model() -> None:
    name, now = st.session_state["surgery_model"], address.current()
    fresh = replace(SurgeryChoices(now.text), model=name, method=now.method, whole=now.whole)
    address.change(**{field: getattr(fresh, field) for field in fresh.__dataclass_fields__})


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
            mirror("surgery_seed", choices.seed)
            st.number_input(
                "Seed", 0, MOST_SEED, key="surgery_seed", width=120, on_change=address.change_from,
                args=("seed", "surgery_seed"),
            )  # fmt: skip
        for field, count in (("layer", model.n_layers), ("head", model.n_heads)):
            mirror(f"surgery_{field}", getattr(choices, field))
            st.slider(
                field.capitalize(), 0, count - 1, key=f"surgery_{field}", width=170, on_change=address.change_from,
                args=(field, f"surgery_{field}"),
            )  # fmt: skip
        mirror("surgery_whole", choices.whole)
        st.segmented_control(
            "Convert for the maps", list(_SCOPES), format_func=lambda whole: _SCOPES[whole], key="surgery_whole",
            required=True, on_change=address.change_from, args=("whole", "surgery_whole"), help=_SCOPE_HELP,
        )  # fmt: skip


def _setting(choices: SurgeryChoices, source: GQA) -> None:
    there = choices.conversion.settings(source)
    if choices.conversion.counts == "rank":
        mirror("surgery_rank", choices.rank)
        st.slider(
            "Rank of the latent", there[0], there[-1], key="surgery_rank", width=300, on_change=address.change_from,
            args=("rank", "surgery_rank"),
        )  # fmt: skip
    elif len(there) == 1:
        st.text(f"KV heads: {there[0]}, one for each query head")
    else:
        mirror("surgery_heads", choices.heads)
        st.select_slider(
            "KV heads left", list(there), key="surgery_heads", width=260, on_change=address.change_from,
            args=("heads", "surgery_heads"), help=f"They must divide the {source.n_kv_heads} that there are.",
        )  # fmt: skip


def _decoupled(choices: SurgeryChoices, source: GQA) -> None:
    widths = sorted({n for n in ROTARY if n < source.head_dim} | {choices.rotary})
    mirror("surgery_rotary", choices.rotary)
    st.select_slider(
        "Rotary dimensions kept", widths, key="surgery_rotary", width=200, on_change=address.change_from,
        args=("rotary", "surgery_rotary"), help=f"Of the {source.head_dim} of each key; of every KV head they are cached.",
    )  # fmt: skip
    mirror("surgery_choice", choices.choice)
    st.selectbox(
        "Which", list(CHOICES), format_func=lambda name: CHOICES[name], key="surgery_choice", width=250,
        on_change=address.change_from, args=("choice", "surgery_choice"),
    )  # fmt: skip
    mirror("surgery_plain", choices.plain)
    st.toggle(
        "Plain SVD", key="surgery_plain", on_change=address.change_from, args=("plain", "surgery_plain"),
        help="Off: the latent is weighted by activations. On: the weights alone count, as in MHA2MLA.",
    )  # fmt: skip
