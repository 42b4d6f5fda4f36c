"""Tables of papers, each with its source and how its numbers were taken from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st


def published_tables(tables: Iterable[Mapping[str, Any]]) -> None:
    """Figures of papers, as `headlight.core.analysis.sibling_quality.published` has them."""
    for table in tables:
        st.markdown(f"**{table['title']}**")
        st.table(
            [
                {"": name} | dict(zip(table["columns"], map(str, values), strict=True))
                for name, values in table["rows"].items()
            ]
        )
        st.caption(f"{table['source']} ({table['status']})")
