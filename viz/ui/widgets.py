"""Widgets that are bound to one field of a page's choices, and what its sections are made of: rows, pictures, exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st
from headlight.viz.components.chart import chart
from headlight.viz.ui.downloads import notebook
from headlight.viz.ui.state import Address, mirror


class Controls:
    """The controls of one page. page: its short name, before every widget's key; address: where its choices are."""

    def __init__(self, page: str, address: Address[Any]) -> None:
        self._page, self._address = page, address

    def whole(self, label: str, field: str, value: int, low: int, high: int, **more: Any) -> None:
        """A slider over whole numbers."""
        options: dict[str, Any] = {"disabled": high <= low} | self._bound(field, value) | more
        st.slider(label, low, max(high, low + 1), **options)

    def among(self, label: str, field: str, value: Any, options: Sequence[Any], **more: Any) -> None:
        """A slider over a few values."""
        st.select_slider(label, list(options), **self._bound(field, value), **more)

    def menu(
        self,
        label: str,
        field: str,
        value: Any,
        options: Sequence[Any],
        on_change: Callable[[], None] | None = None,
        **more: Any,
    ) -> None:
        """A menu, bound to its field or to what `on_change` makes of it."""
        bound = self._bound(field, value) | ({"on_change": on_change, "args": ()} if on_change else {})
        st.selectbox(label, list(options), **bound, **more)

    def several(self, label: str, field: str, value: Sequence[Any], options: Sequence[Any], **more: Any) -> None:
        """A menu of which several may be chosen; the field is a tuple in the order of choosing."""
        bound = self._bound(field, list(value)) | {"on_change": self._take_tuple, "args": (field,)}
        st.multiselect(label, list(options), **bound, **more)

    def segments(self, label: str, field: str, value: Any, titles: Mapping[Any, str], **more: Any) -> None:
        """A few choices side by side. titles: value -> what is on its button."""
        bound = self._bound(field, value)
        st.segmented_control(label, list(titles), format_func=lambda name: titles[name], required=True, **bound, **more)

    def toggle(self, label: str, field: str, value: bool, **more: Any) -> None:
        """A switch."""
        st.toggle(label, **self._bound(field, value), **more)

    def text(self, label: str, field: str, value: str, **more: Any) -> None:
        """A line of text."""
        st.text_input(label, **self._bound(field, value), **more)

    def key(self, field: str) -> str:
        """The key of the widget that is bound to a field."""
        return f"{self._page}_{field}"

    def row(self, name: str) -> Any:
        """A row for controls."""
        return st.container(horizontal=True, vertical_alignment="bottom", key=f"{self._page}_row_{name}")

    def take_away(self, name: str, code: str, sheets: Mapping[str, Callable[[], str]]) -> None:
        """The section's numbers as CSV (made when asked for), and the calls that make them, for a notebook."""
        section = st.expander("Take it away", key=f"{self._page}_take_{name}", on_change="rerun")
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

    def _bound(self, field: str, value: Any) -> dict[str, Any]:
        key = self.key(field)
        mirror(key, value)
        return {"key": key, "on_change": self._address.change_from, "args": (field, key)}

    def _take_tuple(self, field: str) -> None:
        self._address.change(**{field: tuple(st.session_state[self.key(field)])})


def picture(figure: Any, name: str, alt: str, says: str = "", **more: Any) -> None:
    """A figure with its words for those who cannot see it, and one plain sentence below for all."""
    chart(figure, key_name=f"figure_{name}", alt=alt, file_name=f"headlight-{name.replace('_', '-')}", **more)
    if says:
        st.caption(says)
