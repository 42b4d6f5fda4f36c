"""What the sections of a page are made of besides their controls: pictures and exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from headlight.viz.components.chart import chart
from headlight.viz.ui.downloads import notebook
from headlight.viz.ui.state import PageState


def take_away(state: PageState[Any], name: str, code: str, sheets: Mapping[str, Callable[[], str]]) -> None:
    """The section's numbers as CSV (made when asked for), and the calls that make them, for a notebook."""
    section = st.expander("Take it away", key=state.key(f"take_{name}"), on_change="rerun")
    if not section.open:
        return
    with section:
        with st.container(horizontal=True):
            for title, make in sheets.items():
                file_name = f"headlight-{title.lower().replace(' ', '-')}.csv"
                st.download_button(
                    f"{title} (CSV)", make, file_name, "text/csv", on_click="ignore", icon=":material/download:"
                )  # fmt: skip
        notebook(code)


def picture(figure: Any, name: str, alt: str, says: str = "", **more: Any) -> None:
    """A figure with its words for those who cannot see it, and one plain sentence below for all."""
    chart(figure, key_name=f"figure_{name}", alt=alt, file_name=f"headlight-{name.replace('_', '-')}", **more)
    if says:
        st.caption(says)
