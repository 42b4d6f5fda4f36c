"""What the three components have in common: their sources, and picks that can be trusted."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

HERE = Path(__file__).parent
Pick = TypeVar("Pick")


def scripts() -> dict[str, str]:
    """Component name -> its script, the shared part first; `app.py` serves them under /headlight/NAME.js."""
    shared = (HERE / "shared.js").read_text("utf-8")
    return {path.stem: shared + "\n" + path.read_text("utf-8") for path in sorted(HERE.glob("*/*.js"))}


def version() -> str:
    """Changes whenever a script does, so that browsers may keep scripts for good."""
    return hashlib.sha256("".join(scripts().values()).encode()).hexdigest()[:12]


def register(name: str, *, isolate_styles: bool = True) -> Callable[..., Any]:
    """Register the component in folder `name` and return its mounting command; call once, at import.

    Streamlit sends a component's whole script with every update, so what it sends is one line that loads the real one.
    """
    style = HERE / name / f"{name}.css"
    loader = (
        f"const url = new URL('headlight/{name}.js?v={version()}', document.baseURI);\n"
        "export default async (mounted) => (await import(url)).default(mounted);"
    )
    css = style.read_text("utf-8") if style.exists() else None
    return st.components.v2.component(f"headlight_{name}", js=loader, css=css, isolate_styles=isolate_styles)


def picked_index(value: object, count: int) -> int | None:
    """`value` as an index below `count`, or None: a websocket client can send anything as a pick."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count:
        return value
    return None


def picked_cell(value: object, shape: tuple[int, int]) -> tuple[int, int] | None:
    """`value` ({"query": int, "key": int}) as a cell inside `shape`, or None."""
    if not isinstance(value, dict):
        return None
    query, key = picked_index(value.get("query"), shape[0]), picked_index(value.get("key"), shape[1])
    return None if query is None or key is None else (query, key)


def on_pick_change(
    key_name: str, read: Callable[[object], Pick | None], on_pick: Callable[[Pick], object] | None
) -> Callable[[], None]:
    """The callback Streamlit calls before the rerun: hands a checked pick to `on_pick`."""

    def callback() -> None:
        pick = read(st.session_state[key_name].get("pick"))
        if pick is not None and on_pick is not None:
            on_pick(pick)

    return callback
