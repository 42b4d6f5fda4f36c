"""RoPE's pairs of dimensions as dials: two hands each, and what the pair adds to the score as the dial's colour."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from headlight.viz.theme import LIGHT, Theme

COLUMNS = 8
_RADIUS, _RISE, _LABEL = 0.34, 0.09, 0.39  # of a dial, in cells: its size, how far above the middle, where its label is


def dials(
    q: np.ndarray, k: np.ndarray, wavelengths: np.ndarray, adds: np.ndarray, title: str, *, limit: float | None = None,
    chosen: int | None = None, theme: Theme = LIGHT,
) -> go.Figure:  # fmt: skip
    """One dial a pair, eight in a row, the fastest first.

    q, k (pairs, 2): where the query's and the key's hand point, drawn at one length; wavelengths (pairs,): positions to a
    full turn; adds (pairs,): what each pair adds to the score, colour up to ±limit; chosen: the pair to outline.
    """
    rows = -(-len(q) // COLUMNS)
    cells = np.full((rows, COLUMNS), np.nan, np.float32)
    cells.flat[: len(adds)] = adds
    limit = limit or float(np.abs(adds).max(initial=0.0)) or 1.0
    heat = go.Heatmap(
        z=cells, zmin=-limit, zmax=limit, colorscale=theme.diverging_scale, opacity=0.45, xgap=2, ygap=2,
        hovertemplate="adds %{z:.4f} to the score<extra></extra>", showscale=False,
    )  # fmt: skip
    x, y = np.arange(len(q)) % COLUMNS, np.arange(len(q)) // COLUMNS
    labels = go.Scatter(
        x=x, y=y + _LABEL, mode="text", text=[short(w) for w in wavelengths], hoverinfo="skip", showlegend=False,
        textfont={"size": 10, "color": theme.ink},
    )  # fmt: skip
    # No colour bar and no legend: they would double the time to draw (measured), and the title says what they would.
    query, key = (
        f"<span style='color:{colour}'>{name}</span>" for name, colour in (("query", theme.query), ("key", theme.key))
    )
    scale = f"purple takes up to {limit:.3g} off the score, orange adds it"
    plain = {
        "showgrid": False,
        "automargin": False,
        "showticklabels": False,
        "ticks": "",
        "fixedrange": True,
        "constrain": "domain",
    }
    layout = theme.layout(
        title={"text": f"{title}: {query}, {key}", "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8},
               "y": 0.98, "yanchor": "top"},
        xaxis=plain | {"range": [-0.5, COLUMNS - 0.5]},
        yaxis=plain | {"range": [rows - 0.5, -0.5], "scaleanchor": "x", "constraintoward": "top"},
        showlegend=False, margin={"l": 4, "r": 4, "t": 34, "b": 26}, height=60 + 66 * rows,
        shapes=_outline(chosen, len(q), theme),
        annotations=[
            {"text": scale, "xref": "paper", "yref": "paper", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top",
             "showarrow": False, "font": {"size": 12, "color": theme.muted}}
        ],
    )  # fmt: skip
    hands = [_hands(q, "query", theme.query, 3.0), _hands(k, "key", theme.key, 3.0)]
    return go.Figure([heat, _circles(len(q), theme), *hands, labels], layout)


def short(wavelength: float) -> str:
    """A wavelength for a small label: 6.28, 63, 1.2k, 3M."""
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if wavelength >= size:
            return f"{wavelength / size:.3g}{sign}" if wavelength < 100 * size else f"{wavelength / size:.0f}{sign}"
    return f"{wavelength:.3g}"


def _middles(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(count) % COLUMNS, np.arange(count) // COLUMNS - _RISE


def _hands(tips: np.ndarray, name: str, colour: str, width: float) -> go.Scatter:
    x, y = _middles(len(tips))
    unit = tips / np.maximum(np.linalg.norm(tips, axis=1, keepdims=True), 1e-12)
    # The picture's y runs downwards, a hand's upwards; an empty place after each hand ends its line.
    gaps = np.full(len(tips), np.nan)
    xs = np.stack([x, x + _RADIUS * unit[:, 0], gaps], 1).ravel().astype(np.float32)
    ys = np.stack([y, y - _RADIUS * unit[:, 1], gaps], 1).ravel().astype(np.float32)
    line = {"color": colour, "width": width}
    return go.Scatter(x=xs, y=ys, mode="lines", line=line, name=name, hoverinfo="skip", connectgaps=False)


def _circles(count: int, theme: Theme) -> go.Scatter:
    x, y = _middles(count)
    turn = np.append(np.linspace(0, 2 * np.pi, 21), np.nan)
    xs = (x[:, None] + _RADIUS * np.cos(turn)).ravel().astype(np.float32)
    ys = (y[:, None] + _RADIUS * np.sin(turn)).ravel().astype(np.float32)
    line = {"color": theme.muted, "width": 1}
    return go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", showlegend=False, connectgaps=False)


def _outline(chosen: int | None, count: int, theme: Theme) -> list[dict[str, object]]:
    if chosen is None or chosen >= count:
        return []
    x, y = chosen % COLUMNS, chosen // COLUMNS
    line = {"color": theme.ink, "width": 2}
    return [{"type": "rect", "x0": x - 0.48, "x1": x + 0.48, "y0": y - 0.48, "y1": y + 0.48, "line": line}]
