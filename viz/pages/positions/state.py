"""The Positions page's choices in the session and in the link, and its controls, which are bound to them."""

from __future__ import annotations

import streamlit as st
from headlight.core.examples import examples
from headlight.viz import store
from headlight.viz.pages.positions.choices import Positions, from_link, to_link
from headlight.viz.ui.state import Address, carried_text
from headlight.viz.ui.widgets import Controls

address: Address[Positions] = Address("positions", from_link, to_link)
controls = Controls("positions", address)


def fallback() -> Positions:
    """Where the page begins: the sentence of the page before, and the head chosen on Explore where it turns its queries."""
    seen = st.session_state.get("explore:view")
    text = carried_text(examples()[0].text)
    if seen is None or seen.model not in rope_models():
        return Positions(text, model=next(iter(rope_models())))
    return Positions(text, model=seen.model, layer=seen.layer, head=seen.head)


def rope_models() -> dict[str, str]:
    """Name -> title of the models on this machine that turn their queries and keys; last, two vectors of length 1."""
    rows = store.engine().rows
    there = {name: row.title for name, row in rows.items() if row.installed and row.position == "rope"}
    return there | {"unit": "Two equal vectors"}
