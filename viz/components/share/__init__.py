"""The Share button, which copies the address bar; its script keeps the browser's history to places worth going back to."""

from __future__ import annotations

from headlight.viz.components.packing import pack
from headlight.viz.components.parts import register
from headlight.viz.web.base_url import base_path, public_url

_mount = register("share")


def share(*, key_name: str) -> None:
    """Draw the button."""
    _mount(key=key_name, data=pack({"home": base_path(), "public": public_url()}))
