"""A whole document as running text, shaded by one head's weights for one word; only the lines in sight are in the page."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from headlight.viz.components.deep_map import codes
from headlight.viz.components.packing import pack
from headlight.viz.components.parts import on_pick_change, picked_index, register

_mount = register("document_view")


def document_view(
    labels: Sequence[str],
    special: Sequence[bool],
    weights: np.ndarray,
    allowed: np.ndarray,
    focus: int,
    *,
    text: str,
    other: int | None = None,
    direction: str,
    colours: str,
    lut: np.ndarray,
    key_name: str,
    on_pick: Callable[[int], object],
) -> None:
    """Draw the document; scrolling, the minimap and hovering stay in the browser.

    labels: raw text of each token with the blanks before it; may hold anything a visitor typed. special: tokens like [CLS].
    weights, allowed (tokens,): of the row (direction "at": where `focus` looks) or the column ("by": what looks at it).
    focus: the token that was clicked; other: the second of a picked pair, outlined. text: changes with the document.
    colours: "log" or "linear"; lut: (256, 3) uint8. on_pick: called before the rerun with the index of a clicked token.
    """
    meta = {
        "text": text, "focus": int(focus), "other": None if other is None else int(other), "direction": direction,
        "colours": colours,
    }  # fmt: skip
    numbers = codes(weights, allowed)
    raw = (numbers & 255).astype(np.uint8).tobytes() + (numbers >> 8).astype(np.uint8).tobytes()
    packed = {"labels": json.dumps([list(labels), [int(s) for s in special]]).encode(), "codes": raw}
    arrays = {name: np.frombuffer(zlib.compress(data, 6), np.uint8) for name, data in packed.items()}

    def read(value: object) -> int | None:
        return picked_index(value, len(labels))

    _mount(
        key=key_name, data=pack(meta, lut=np.asarray(lut, np.uint8), **arrays),
        on_pick_change=on_pick_change(key_name, read, on_pick),
    )  # fmt: skip
