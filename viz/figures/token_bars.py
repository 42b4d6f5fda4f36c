"""One number a token as bars with the tokens' names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from headlight.viz.text import label_room, labels, shorten_label
from headlight.viz.theme import LIGHT, Theme

MAX_NAMES = 64


def token_bars(
    values: np.ndarray, pieces: Sequence[str], title: str, *, axis: str, role: str = "latent", theme: Theme = LIGHT
) -> go.Figure:  # fmt: skip
    """values (tokens,); pieces: of the tokens, in plain text; axis: the numbers' title with their unit; role: whose hue."""
    names = labels(tuple(pieces))
    shown = [shorten_label(name) for name in names]
    many = len(names) > MAX_NAMES
    room = 12 if many else round(0.87 * label_room(shown, 11)) + 12
    bars = go.Bar(
        x=np.arange(len(names)), y=values, marker={"color": getattr(theme, role)}, customdata=names,
        hovertemplate="%{customdata}: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    ticks = {} if many else {"tickvals": np.arange(len(names)), "ticktext": shown, "tickangle": -60}
    layout = theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 1, "yanchor": "top"},
        xaxis={"showgrid": False, "ticks": "", "automargin": False, "tickfont": {"size": 11}} | ticks,
        yaxis={"title": axis, "automargin": False}, showlegend=False, height=210 + room,
        margin={"l": 56, "r": 8, "t": 32, "b": room + 8},
    )  # fmt: skip
    return go.Figure(bars, layout)
