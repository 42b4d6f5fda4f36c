"""The Share button, which copies the address bar, and the browser's Back and Forward, which it reports."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

from headlight.viz.components.packing import pack
from headlight.viz.components.parts import on_pick_change, register
from headlight.viz.web.base_url import base_path, public_url

_mount = register("share")
MAX_LINK = 200_000  # characters; browsers stop earlier


def share(*, key_name: str, on_move: Callable[[dict[str, str]], object]) -> None:
    """Draw the button; on_move(parameters) is called when the visitor went back or forward to another address."""
    _mount(
        key=key_name,
        data=pack({"home": base_path(), "public": public_url()}),
        on_pick_change=on_pick_change(key_name, _parameters, on_move),
    )


def _parameters(value: object) -> dict[str, str] | None:
    if not isinstance(value, str) or len(value) > MAX_LINK:
        return None
    sendable = value.encode(
        "utf-8", "replace"
    ).decode()  # a lone surrogate could not be written back to the address bar
    return dict(parse_qsl(sendable.removeprefix("?"), keep_blank_values=True))
