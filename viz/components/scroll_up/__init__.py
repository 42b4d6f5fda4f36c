"""Takes the page to its top when what it shows becomes another thing, as a turned page does."""

from __future__ import annotations

from headlight.viz.components.packing import pack
from headlight.viz.components.parts import register

_mount = register("scroll_up")


def scroll_up(shown: str, *, key_name: str) -> None:
    """shown: what is on the page; when it changes, the page goes to its top. Draws nothing."""
    _mount(key=key_name, data=pack({"shown": shown}))
