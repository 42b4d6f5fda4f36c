"""All heads of all layers at once: one number a head."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from headlight.viz.figures.drawing import Drawing
from headlight.viz.theme import LIGHT, Theme


def survey_map(
    values: np.ndarray, unit: str, *, chosen: tuple[int, int] | None = None, theme: Theme = LIGHT
) -> go.Figure:
    """A heatmap of layers (rows, the first on top) by heads (columns).

    values (n_layers, n_heads): from `analysis.head_scores.survey`; unit: "weight" is drawn on 0-1, anything else from 0 to the
    largest value. chosen: (layer, head) to outline.
    """
    return survey_drawing(values, unit, chosen=chosen, theme=theme).figure()


def survey_drawing(
    values: np.ndarray, unit: str, *, chosen: tuple[int, int] | None = None, theme: Theme = LIGHT
) -> Drawing:
    """The same, to be drawn by `chart`."""
    n_layers, n_heads = values.shape
    top = 1.0 if unit == "weight" else float(np.nanmax(values, initial=1e-6))
    heat = {
        "type": "heatmap",
        "z": values.astype(np.float32),
        "zmin": 0,
        "zmax": top,
        "colorscale": theme.colorscale,
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": "layer %{y} · head %{x}: %{z:.3f} " + unit + "<extra></extra>",
        "colorbar": {"title": {"text": unit, "side": "right"}, "thickness": 10, "outlinewidth": 0, "len": 0.9},
    }
    whole = {"dtick": 1, "tick0": 0, "showgrid": False, "ticks": "", "automargin": False}
    layout = theme.layout(
        xaxis=whole | {"title": {"text": "head"}, "range": [-0.5, n_heads - 0.5]},
        yaxis=whole
        | {"title": {"text": "layer"}, "range": [n_layers - 0.5, -0.5], "dtick": 1 if n_layers <= 12 else 2},
        margin={"t": 8, "l": 48, "b": 44, "r": 8},
        height=90 + max(16 * n_layers, 140),
        **_outline(chosen, theme),
    )
    return Drawing([heat], layout)


def _outline(chosen: tuple[int, int] | None, theme: Theme) -> dict[str, object]:
    if chosen is None:
        return {}
    layer, head = chosen
    line = {"color": theme.key, "width": 2}
    return {
        "shapes": [
            {"type": "rect", "x0": head - 0.5, "x1": head + 0.5, "y0": layer - 0.5, "y1": layer + 0.5, "line": line}
        ]
    }
