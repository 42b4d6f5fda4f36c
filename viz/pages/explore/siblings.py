"""Explore's two switches, Attention and Position, and the line that says what they changed."""

from __future__ import annotations

import streamlit as st

from headlight.core.attention.variants import VARIANTS
from headlight.core.checkpoints.sibling import encodings, read_card, variants
from headlight.core.model import Model, Readable
from headlight.core.positions.encodings import ENCODINGS
from headlight.core.registry import MODELS, SIBLINGS
from headlight.viz.pages.explore.choices import View, state

FAMILY = "siblings"  # what the model menu calls all of them together
_BEFORE = "sibling_before"  # session: (the sibling on screen, the one before it)


def default(name: str) -> str | None:
    """The sibling to begin with, coming from the model `name`: of its own attention and position where there is one."""
    row = MODELS.get(name)
    wished = (f"{row.attention}-{row.position}", f"{row.attention}-rope") if row else ()
    there = [sibling for sibling, entry in SIBLINGS.items() if entry.installed]
    return next((sibling for sibling in (*wished, *there) if sibling in there), None)


def switches(view: View) -> None:
    """Attention and Position: live for the siblings; for a pretrained model they say what it is."""
    row = MODELS.get(view.model)
    if row is None or row.attention is None or row.position is None:
        return
    live = view.model in SIBLINGS
    fixed = None if live else f"{row.title} was trained with these; switch to the siblings to change them."
    attentions = [name for name in variants() if _there(name, row.position)] if live else [row.attention]
    positions = [name for name in encodings() if _there(row.attention, name)] if live else [row.position]
    _switch("Attention", row.attention, {name: VARIANTS[name].title for name in attentions}, fixed)
    _switch("Position", row.position, {name: ENCODINGS[name].title for name in positions}, fixed)


def _there(attention: str, position: str) -> bool:
    return SIBLINGS[f"{attention}-{position}"].installed


def _switch(label: str, value: str, titles: dict[str, str], fixed: str | None) -> None:
    state.segments(label, label.lower(), value, titles, _switched, disabled=fixed is not None, help=fixed)


def _switched(_: str) -> None:
    wanted = f"{st.session_state['attention']}-{st.session_state['position']}"
    if wanted in SIBLINGS and SIBLINGS[wanted].installed:
        state.change(model=wanted)


def facts(view: View, model: Readable) -> None:
    """One line: what this model keeps of a token; for a sibling what came of its training, and what the switch changed."""
    if not isinstance(model, Model):
        return
    kept = model.attention.cached_elements_per_token()
    line = f"keeps {kept:,} values per token per layer, {4 * kept * model.n_layers:,} B per token in float32"
    if view.model not in SIBLINGS:
        st.caption(f"{model.title} {line}.")
        return
    now, before = _remember(view.model)
    card = read_card(now)
    line += (
        f" · {card['parameters'] / 1e6:.2f}M parameters · validation loss {card['validation_loss']:.3f} nats per token"
    )
    if before is not None:
        line += f" · before, {SIBLINGS[before].title}: {_short(before)}"
    st.caption(f"{model.title} {line}.")


def _short(name: str) -> str:
    card = read_card(name)
    kept = card["cached_elements_per_token_and_layer"]
    return f"{kept} values, {card['parameters'] / 1e6:.2f}M, {card['validation_loss']:.3f}"


def _remember(name: str) -> tuple[str, str | None]:
    now, before = st.session_state.get(_BEFORE, (name, None))
    if now != name:
        now, before = name, now
    st.session_state[_BEFORE] = (now, before)
    return now, before
