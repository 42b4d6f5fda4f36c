"""Maps of positions: a table, the similarity of its rows, a bias; and which dimensions carry position."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from headlight.viz.theme import LIGHT, Theme

_CELLS = 128  # rows and columns at most; of more, every second, third, … one


def thinned(count: int, most: int = _CELLS) -> np.ndarray:
    """The rows that a map of `count` rows shows: all, or evenly every n-th."""
    return np.arange(0, count, -(-count // most) if count else 1)


def signed_map(
    values: np.ndarray,
    title: str,
    *,
    axes: tuple[str, str],
    legend: str,
    limit: float | None = None,
    across: np.ndarray | None = None,
    down: np.ndarray | None = None,
    square: bool = False,
    height: int = 360,
    theme: Theme = LIGHT,
) -> go.Figure:
    """A heatmap of numbers of both signs, the first row on top; NaN is blank.

    values (rows, columns); axes: titles across and down; across, down: the numbers of the columns and rows, 0, 1, 2 … if
    not given; limit: the size that the strongest colours stand for, the largest number if not given.
    """
    across = np.arange(values.shape[1]) if across is None else across
    down = np.arange(values.shape[0]) if down is None else down
    limit = limit or float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    heat = go.Heatmap(
        z=values.astype(np.float32), x=across, y=down, zmin=-limit, zmax=limit, colorscale=theme.diverging_scale,
        hovertemplate=f"{axes[1]} %{{y}}, {axes[0]} %{{x}}: %{{z:.4f}}<extra></extra>",
        colorbar={"title": {"text": legend, "side": "right"}, "thickness": 10, "outlinewidth": 0, "len": 0.95},
    )  # fmt: skip
    step = float(down[1] - down[0]) if len(down) > 1 else 1.0
    layout = theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 0.98, "yanchor": "top"},
        xaxis={"title": axes[0], "showgrid": False} | ({"constrain": "domain"} if square else {}),
        yaxis={"title": axes[1], "showgrid": False, "range": [float(down[-1]) + step / 2, float(down[0]) - step / 2]}
        | ({"scaleanchor": "x", "constrain": "domain"} if square else {}),
        margin={"l": 56, "r": 8, "t": 34, "b": 48}, height=height,
        # So that what is blank is told from what is 0.
        **({"plot_bgcolor": theme.faint} if np.isnan(values).any() else {}),
    )  # fmt: skip
    return go.Figure(heat, layout)


def dimension_bars(moved: np.ndarray, plain: int, title: str, *, height: int = 240, theme: Theme = LIGHT) -> go.Figure:
    """How far each dimension of a vector goes; the first `plain` dimensions in the latent's colour, the rest in position's."""
    colours = [theme.latent] * plain + [theme.position] * (len(moved) - plain)
    bars = go.Bar(
        x=np.arange(len(moved)), y=moved, marker={"color": colours}, hovertemplate="dimension %{x}: %{y:.4g}<extra></extra>"
    )  # fmt: skip
    shade = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}, "opacity": 0.12, "layer": "below"}
    names = [
        ("without position", -0.5, plain - 0.5, theme.latent),
        ("with position", plain - 0.5, len(moved) - 0.5, theme.position),
    ]
    layout = theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 0.97, "yanchor": "top"},
        xaxis={"title": "dimension of the head", "range": [-0.5, len(moved) - 0.5], "showgrid": False},
        yaxis={"title": "mean change", "rangemode": "tozero"}, height=height, margin={"l": 56, "r": 8, "t": 48, "b": 46},
        shapes=[shade | {"x0": a, "x1": b, "fillcolor": colour} for _, a, b, colour in names],
        annotations=[
            {"x": a, "xanchor": "left", "yref": "paper", "y": 1.0, "yanchor": "bottom", "text": name, "showarrow": False,
             "font": {"size": 12, "color": colour}}
            for name, a, _, colour in names
        ],
    )  # fmt: skip
    return go.Figure(bars, layout)
