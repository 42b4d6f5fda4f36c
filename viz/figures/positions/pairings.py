"""Which dimensions of a head form a pair: a strip a layout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from headlight.viz.theme import LIGHT, Theme


def pairings(layouts: Mapping[str, np.ndarray], title: str, *, theme: Theme = LIGHT) -> go.Figure:
    """One row a layout, one cell a dimension, alike in colour and number where two dimensions are rotated together.

    layouts: name -> the number of each dimension's pair (rotary_dim,).
    """
    names, numbers = list(layouts), np.stack(list(layouts.values()))
    count = int(numbers.max()) + 1
    colours = sample_colorscale("Cividis", np.linspace(0.1, 1, count).tolist() if count > 1 else [0.6])
    scale = (
        [[i / max(count - 1, 1), c] for i, c in enumerate(colours)] if count > 1 else [[0, colours[0]], [1, colours[0]]]
    )
    heat = go.Heatmap(
        z=numbers.astype(np.float32), zmin=0, zmax=max(count - 1, 1), colorscale=scale, showscale=False, xgap=2, ygap=14,
        text=numbers.astype(str), texttemplate="%{text}" if count <= 16 else "", textfont={"size": 12},
        hovertemplate="dimension %{x} is in pair %{z}<extra></extra>",
    )  # fmt: skip
    layout = theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 0.97, "yanchor": "top"},
        xaxis={"title": "dimension of the head", "showgrid": False, "dtick": 1 if numbers.shape[1] <= 16 else 8},
        yaxis={"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False, "range": [len(names) - 0.5, -0.5]},
        margin={"l": 96, "r": 8, "t": 32, "b": 46}, height=96 + 62 * len(names),
    )  # fmt: skip
    return go.Figure(heat, layout)
