"""Maps for comparing: narrow ones that stand side by side on one scale, their differences, and distances of all heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from headlight.viz.text import label_room, labels, plotly_text, shorten_label
from headlight.viz.theme import LIGHT, Theme

LEGEND = 52  # pixels below a map, kept free where there is no legend so that maps side by side are of one size
FAINTEST = 0.05  # the least that the scale of differences ends at, so that rounding is not shown as a difference


def weight_map(
    weights: np.ndarray, names: Sequence[str], title: str, *, top: float = 1.0, legend: str | None = None,
    narrow: bool = False, theme: Theme = LIGHT,
) -> go.Figure:  # fmt: skip
    """Attention weights as a narrow heatmap, query rows by key columns.

    weights (n, n): 0 to 1, NaN where looking is not allowed, which is drawn blank; names: of the n tokens or parts; title:
    plain text. top: the weight at the top of the colour scale; legend: what it says below the scale, None for no legend.
    narrow: for a column of less than some 350 pixels: fewer labels, and the title below the toolbar.
    """
    heat = go.Heatmap(
        z=weights.astype(np.float32), zmin=0, zmax=top, colorscale=theme.colorscale,
        hovertemplate="%{y} looks at %{x}: %{z:.3f}<extra></extra>", **_legend(legend, ".2~f"),
    )  # fmt: skip
    return _square(heat, names, title, narrow, theme)


def difference_map(
    first: np.ndarray, other: np.ndarray, names: Sequence[str], title: str, *, limit: float, legend: str | None = None,
    narrow: bool = False, theme: Theme = LIGHT,
) -> go.Figure:  # fmt: skip
    """`other` minus `first`, cell by cell, on a scale from -limit to limit with 0 in its middle; the rest as `weight_map`.

    A cell where only one may look counts as 0 for the other; where neither may look it is blank.
    """
    heat = go.Heatmap(
        z=difference(first, other), zmin=-limit, zmax=limit, colorscale=theme.diverging_scale,
        hovertemplate="%{y} looks at %{x}: %{z:+.3f}<extra></extra>", **_legend(legend, "+.2~f"),
    )  # fmt: skip
    return _square(heat, names, title, narrow, theme)


def difference(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`other` minus `first` as float32, -1 to 1; NaN where both are NaN, and NaN in one alone counts as 0."""
    neither = np.isnan(first) & np.isnan(other)
    return np.where(neither, np.nan, np.nan_to_num(other) - np.nan_to_num(first)).astype(np.float32)


def difference_limit(differences: Sequence[np.ndarray]) -> float:
    """One end for the scale of several difference maps: the largest absolute difference, FAINTEST at least."""
    return max([FAINTEST, *(float(np.nanmax(np.abs(each), initial=0.0)) for each in differences)])


def distance_map(
    values: Sequence[Sequence[float]], title: str, *, top: float, chosen: tuple[int, int] | None = None,
    matches: Sequence[Sequence[str]] | None = None, theme: Theme = LIGHT,
) -> go.Figure:  # fmt: skip
    """Distances of all heads: layers (rows, the first on top) by heads (columns).

    values: n_layers rows of n_heads, 0 to 1; top: the distance at the top of the colour scale; chosen: (layer, head),
    outlined; matches: for each head what it is matched with, in plain text, for hovering; title: plain text.
    """
    z = np.asarray(values, np.float32)
    n_layers, n_heads = z.shape
    told = None if matches is None else [[plotly_text(each, 60) for each in row] for row in matches]
    heat = go.Heatmap(
        z=z, zmin=0, zmax=top, colorscale=theme.colorscale, xgap=1, ygap=1, text=told,
        hovertemplate="layer %{y} · head %{x}: %{z:.3f}" + ("" if told is None else " · %{text}") + "<extra></extra>",
        colorbar={"title": {"text": "distance", "side": "right"}, "thickness": 10, "outlinewidth": 0, "len": 0.9},
    )  # fmt: skip
    whole = {"dtick": 1, "tick0": 0, "showgrid": False, "ticks": "", "automargin": False}
    layout = theme.layout(
        xaxis=whole | {"title": "head", "range": [-0.5, n_heads - 0.5]},
        yaxis=whole | {"title": "layer", "range": [n_layers - 0.5, -0.5], "dtick": 1 if n_layers <= 12 else 2},
        title=_title(title),
        margin={"t": 34, "l": 48, "b": 44, "r": 8},
        height=116 + max(16 * n_layers, 140),
        shapes=[] if chosen is None else [_outline(*chosen, theme)],
    )
    return go.Figure(heat, layout)


def _outline(layer: int, head: int, theme: Theme) -> dict[str, Any]:
    line = {"color": theme.key, "width": 2}
    return {"type": "rect", "x0": head - 0.5, "x1": head + 0.5, "y0": layer - 0.5, "y1": layer + 0.5, "line": line}


def _square(heat: go.Heatmap, names: Sequence[str], title: str, narrow: bool, theme: Theme) -> go.Figure:
    # As in head_map: hovering reads the hidden axes, which name every token; beside the map stands what fits.
    full, size = labels(tuple(names)), len(names)
    heat.update(hoverongaps=False, xgap=1 if size <= 24 else 0, ygap=1 if size <= 24 else 0)
    beside = _beside(full, 22 if narrow else 32)
    shown = go.Scatter(x=[0], y=[0], xaxis="x2", yaxis="y2", mode="markers", opacity=0, hoverinfo="skip")
    square = {"range": [-0.5, size - 0.5], "showgrid": False, "constrain": "domain", "automargin": False}
    reverse = square | {"range": [size - 0.5, -0.5]}
    hidden = {"tickvals": np.arange(size), "ticktext": full, "showticklabels": False, "ticks": ""}
    room = label_room(beside["ticktext"], beside["tickfont"]["size"])
    layout = theme.layout(
        xaxis=square | hidden | {"constraintoward": "left"},
        yaxis=reverse | hidden | {"scaleanchor": "x", "constraintoward": "top"},
        xaxis2=square | beside | {"overlaying": "x", "matches": "x", "tickangle": -60} | _named("key, looked at", theme.key),
        yaxis2=reverse | beside | {"overlaying": "y", "matches": "y"} | _named("query, looking", theme.query),
        hovermode="closest", height=440 if narrow else 520, title=_title(title, 30 if narrow else 6), showlegend=False,
        margin={"t": 56 if narrow else 34, "l": room + 28, "b": room + 28 + LEGEND, "r": 4},
    )  # fmt: skip
    return go.Figure([heat, shown], layout)


def _named(text: str, colour: str) -> dict[str, Any]:
    return {"title": {"text": text, "font": {"color": colour, "size": 12}, "standoff": 4}}


def _title(text: str, above: int = 6) -> dict[str, Any]:
    shown = plotly_text(text, 60)
    return {"text": shown, "x": 0, "y": 1, "yanchor": "top", "pad": {"t": above}, "font": {"size": 14}}


def _beside(names: list[str], max_labels: int) -> dict[str, Any]:
    every = -(-len(names) // max_labels)
    size = 11 if len(names[::every]) <= max_labels * 0.6 else 9
    few = [shorten_label(name, 11) for name in names[::every]]
    return {"tickvals": np.arange(0, len(names), every), "ticktext": few, "ticks": "", "tickfont": {"size": size}}


def _legend(text: str | None, form: str) -> dict[str, Any]:
    if text is None:
        return {"showscale": False}
    bar = {
        "title": {"text": text, "side": "bottom", "font": {"size": 11}}, "orientation": "h", "thickness": 8,
        "outlinewidth": 0, "lenmode": "pixels", "len": 220, "x": 0, "xref": "container", "xanchor": "left", "xpad": 8,
        "y": 0, "yref": "container", "yanchor": "bottom", "nticks": 5, "tickformat": form,
    }  # fmt: skip
    return {"colorbar": bar}
