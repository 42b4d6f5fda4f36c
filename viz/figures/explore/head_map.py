"""The map of one head: who looks (rows) at whom (columns), and how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from headlight.core.errors import InputError
from headlight.core.types import Run
from headlight.viz.figures.drawing import Drawing
from headlight.viz.text import label_room, labels, shorten_label
from headlight.viz.theme import LIGHT, Theme

LEGEND = 56  # pixels below the map
MAX_LABELS = 64  # more do not fit; hovering still names every token


def head_map(result: Run, layer: int, head: int, *, skip_first: bool = False, theme: Theme = LIGHT) -> go.Figure:
    """Attention weights of one head as a heatmap, query rows by key columns; cells that are masked are blank.

    result: from `core.run`; layer, head: counted from 0. skip_first: the colour scale ends at the largest weight on any
    token but the first (numbers stay as they are, the legend says so). Raises InputError for a layer that was not
    traced and a head that does not exist.
    """
    return head_drawing(result, layer, head, skip_first=skip_first, theme=theme).figure()


def head_drawing(result: Run, layer: int, head: int, *, skip_first: bool = False, theme: Theme = LIGHT) -> Drawing:
    """The same, to be drawn by `chart`."""
    trace = result.layers[layer]
    if not 0 <= head < trace.n_heads:
        raise InputError(f"head {head} does not exist: layer {layer} has heads 0 to {trace.n_heads - 1}")
    weights = visible_weights(trace.weights[head].float().cpu().numpy(), trace.mask.cpu().numpy())
    names = labels(result.tokens.pieces)
    return _figure(weights, names, f"Layer {layer} · head {head}", skip_first, theme)


def visible_weights(weights: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Weights as float32 with NaN, which is drawn blank, where looking is not allowed."""
    return np.where(mask, weights, np.float32("nan")).astype(np.float32)


def colour_top(weights: np.ndarray, skip_first: bool) -> float:
    """The weight at the top of the colour scale: 1, or the largest on any token but the first."""
    if not skip_first or weights.shape[-1] < 2:
        return 1.0
    rest = np.nan_to_num(weights[..., 1:])
    return float(rest.max()) or 1.0


def _figure(weights: np.ndarray, names: list[str], title: str, skip_first: bool, theme: Theme) -> Drawing:
    heat = {
        "type": "heatmap",
        "z": weights,
        "zmin": 0,
        "zmax": colour_top(weights, skip_first),
        "colorscale": theme.colorscale,
        "hoverongaps": False,
        "hovertemplate": "%{y} looks at %{x}: %{z:.3f}<extra></extra>",
        "colorbar": _legend(skip_first),
        "xgap": 1 if len(names) <= 40 else 0,
        "ygap": 1 if len(names) <= 40 else 0,
    }
    # Hovering names a token by the tick labels of the trace's own axes, which are complete and hidden; what is drawn
    # beside the map are the labels of two axes laid over them, thinned to what fits.
    shown = {"type": "scatter", "x": [0], "y": [0], "xaxis": "x2", "yaxis": "y2", "mode": "markers", "opacity": 0,
             "hoverinfo": "skip", "showlegend": False}  # fmt: skip
    size, beside = len(names), _beside(names)
    square = {"range": [-0.5, size - 0.5], "showgrid": False, "constrain": "domain", "automargin": False}
    reverse = square | {"range": [size - 0.5, -0.5]}
    hidden = {"tickvals": np.arange(size), "ticktext": names, "showticklabels": False, "ticks": ""}
    room = label_room(beside["ticktext"], beside["tickfont"]["size"])
    key_title = {"text": "key, looked at", "font": {"color": theme.key}, "standoff": 6}
    query_title = {"text": "query, looking", "font": {"color": theme.query}, "standoff": 6}
    layout = theme.layout(
        xaxis=square | hidden | {"constraintoward": "left"},
        yaxis=reverse | hidden | {"scaleanchor": "x", "constraintoward": "top"},
        xaxis2=square | beside | {"overlaying": "x", "matches": "x", "tickangle": -60, "title": key_title},
        yaxis2=reverse | beside | {"overlaying": "y", "matches": "y", "title": query_title},
        hovermode="closest",
        height=660,
        title={"text": title, "x": 0, "y": 1, "yanchor": "top", "pad": {"t": 6}, "font": {"size": 15}},
        # Margins from the labels' estimated widths: measuring them would cost the browser a second drawing.
        margin={"t": 40, "l": room + 32, "b": room + 32 + LEGEND, "r": 8},
    )
    return Drawing([heat, shown], layout)


def _beside(names: list[str]) -> dict[str, Any]:
    every = -(-len(names) // MAX_LABELS)
    size = 12 if len(names) <= 32 else 10 if len(names) <= 48 else 8
    few = [shorten_label(name) for name in names[::every]]
    return {"tickvals": np.arange(0, len(names), every), "ticktext": few, "ticks": "", "tickfont": {"size": size}}


def _legend(skip_first: bool) -> dict[str, Any]:
    # Below the map, placed by the figure and not by the map, so that it never pushes the map about.
    text = "weight, first token left out of the scale" if skip_first else "weight"
    return {
        "title": {"text": text, "side": "bottom", "font": {"size": 12}},
        "orientation": "h",
        "thickness": 8,
        "outlinewidth": 0,
        "lenmode": "pixels",
        "len": 240,
        "x": 1,
        "xref": "container",
        "xanchor": "right",
        "xpad": 8,
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
        "nticks": 4,
        "tickformat": ".2~f",
    }
