"""KV cache, own: being written."""

from __future__ import annotations

import streamlit as st

from viz.cache_view import CacheChoices
from viz.theme import Theme


def draw(choices: CacheChoices, look: Theme) -> tuple[CacheChoices, list[str]]:
    """Being written."""
    st.caption("Being written.")
    return choices, []
