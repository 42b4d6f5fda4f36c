"""A figure as plotly.js reads it: for pictures that are made anew with every letter that is typed.

Plotly's `Figure` checks every property and copies all of them twice; that took a quarter of the server's time with many
visitors. A `Drawing` goes to the browser as it is; tests make `figure()` of each, which checks it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go


@dataclass(frozen=True)
class Drawing:
    """traces: each with its type; layout. Both are spelled out in full: a title is {"text": …}."""

    traces: Sequence[dict[str, Any]]
    layout: dict[str, Any]

    @property
    def height(self) -> int | None:
        """Pixels, where the layout says so."""
        return self.layout.get("height")

    def figure(self) -> go.Figure:
        """The same for notebooks and exports, checked by Plotly."""
        return go.Figure(list(self.traces), self.layout)

    def to_json(self) -> str:
        """What `figure().to_json()` says, with arrays in plotly.js's typed form: their bytes in base64."""
        return json.dumps({"data": self.traces, "layout": self.layout}, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"a drawing holds numbers, texts and arrays, not {type(value).__name__}")
    small = (
        value.astype(np.int32) if value.dtype == np.int64 else value
    )  # plotly.js reads at most 32 bits of whole numbers
    typed = {"dtype": f"{small.dtype.kind}{small.dtype.itemsize}", "bdata": base64.b64encode(small.tobytes()).decode()}
    return typed if value.ndim == 1 else typed | {"shape": ", ".join(map(str, value.shape))}
