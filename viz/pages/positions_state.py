"""The Positions page's choices in the session and in the link, and widgets that are bound to one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.examples import examples
from viz import store
from viz.address import Address, carried_text, mirror
from viz.components.chart import chart
from viz.positions_view import Positions, from_link, to_link

address: Address[Positions] = Address("positions", from_link, to_link)


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


def whole(label: str, field: str, value: int, low: int, high: int, **more: Any) -> None:
    """A slider over whole numbers, bound to a field of the choices."""
    key = f"positions_{field}"
    mirror(key, value)
    chosen: dict[str, Any] = {"on_change": address.change_from, "args": (field, key), "disabled": high <= low} | more
    st.slider(label, low, max(high, low + 1), key=key, **chosen)


def among(label: str, field: str, value: Any, options: Sequence[Any], **more: Any) -> None:
    """A slider over a few values, bound to a field of the choices."""
    key = f"positions_{field}"
    mirror(key, value)
    st.select_slider(label, list(options), key=key, on_change=address.change_from, args=(field, key), **more)


def menu(
    label: str,
    field: str,
    value: Any,
    options: Sequence[Any],
    on_change: Callable[[], None] | None = None,
    **more: Any,
) -> None:
    """A menu, bound to a field of the choices, or to what `on_change` makes of it."""
    key = f"positions_{field}"
    mirror(key, value)
    st.selectbox(
        label, list(options), key=key, on_change=on_change or (lambda: address.change_from(field, key)), **more
    )


def row(name: str) -> Any:
    """A row for controls."""
    return st.container(horizontal=True, vertical_alignment="bottom", key=f"positions_row_{name}")


def picture(figure: Any, name: str, alt: str, says: str = "", **more: Any) -> None:
    """A figure with its words for those who cannot see it, and one plain sentence below for all."""
    chart(figure, key_name=f"figure_{name}", alt=alt, file_name=f"headlight-{name.replace('_', '-')}", **more)
    if says:
        st.caption(says)


def take_away(name: str, code: str, sheets: Mapping[str, Callable[[], str]]) -> None:
    """The section's numbers as CSV (made when asked for), and the calls that make them, for a notebook."""
    section = st.expander("Take it away", key=f"positions_take_{name}", on_change="rerun")
    if not section.open:
        return
    with section:
        with st.container(horizontal=True):
            for title, make in sheets.items():
                file_name = f"headlight-{title.lower().replace(' ', '-')}.csv"
                st.download_button(
                    f"{title} (CSV)", make, file_name, "text/csv", on_click="ignore", icon=":material/download:"
                )  # fmt: skip
        st.caption("In a notebook, with Headlight's folder as the working directory:")
        st.code(code, language="python")
