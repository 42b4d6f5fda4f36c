"""Forms of one computation side by side: one number a form, with its words, and its spread where it was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import plotly.graph_objects as go

from headlight.viz.theme import LIGHT, Theme


def form_bars(
    values: Mapping[str, float],
    title: str,
    *,
    tell: Callable[[float], str],
    roles: Mapping[str, str],
    spread: Mapping[str, tuple[float, float]] | None = None,
    theme: Theme = LIGHT,
) -> go.Figure:
    """A bar a form, the first on top, all from 0.

    values: name -> number; tell: a number in words, with its unit; roles: name -> the role of the theme whose hue it has;
    spread: name -> low and high, drawn as a line across the bar's end.
    """
    numbers, rows = np.array(list(values.values()), float), np.arange(len(values))
    ends = np.array([spread[name][1] if spread else value for name, value in values.items()], float)
    told = [tell(value) for value in values.values()]
    bars = go.Bar(
        orientation="h", x=numbers, y=rows, marker={"color": [getattr(theme, roles[name]) for name in values]},
        error_x=_lines(values, spread, theme), customdata=told, hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    words = go.Scatter(
        x=np.maximum(numbers, ends), y=rows, mode="text", text=[f" {each}" for each in told],
        textposition="middle right", textfont={"size": 12, "color": theme.ink}, hoverinfo="skip", cliponaxis=False,
    )  # fmt: skip
    plain = {"showgrid": False, "ticks": "", "fixedrange": True}
    layout = theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 1, "yanchor": "top"},
        xaxis=plain | {"range": [0, float(np.maximum(numbers, ends).max()) * 1.45 or 1.0], "showticklabels": False},
        yaxis=plain | {"tickvals": rows, "ticktext": list(values), "range": [len(rows) - 0.5, -0.5]},
        showlegend=False, bargap=0.35, height=44 + 44 * len(rows), margin={"l": 8, "r": 4, "t": 34, "b": 8},
    )  # fmt: skip
    return go.Figure([bars, words], layout)


def _lines(
    values: Mapping[str, float], spread: Mapping[str, tuple[float, float]] | None, theme: Theme
) -> dict[str, object] | None:
    if spread is None:
        return None
    return {
        "type": "data", "symmetric": False, "color": theme.ink, "thickness": 1.2, "width": 4,
        "array": np.array([spread[name][1] - value for name, value in values.items()]),
        "arrayminus": np.array([value - spread[name][0] for name, value in values.items()]),
    }  # fmt: skip
