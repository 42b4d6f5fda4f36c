"""Figures of surgery: how far each head of a layer went, and quality against what is cached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from headlight.viz.text import plotly_text
from headlight.viz.theme import LIGHT, Theme

_ROLES = ("latent", "key", "query", "value", "position", "muted")
_SHAPES = ("circle", "square", "diamond", "triangle-up", "x", "circle-open", "square-open", "diamond-open")


@dataclass(frozen=True)
class Curve:
    """One method: cached bytes per token (ascending), what was measured there, and what each point is, in plain text."""

    title: str
    cached: Sequence[float]
    values: Sequence[float]
    told: Sequence[str]


def head_bars(distances: np.ndarray, title: str, *, chosen: int | None = None, theme: Theme = LIGHT) -> go.Figure:
    """Jensen-Shannon distances (n_heads,), 0 to 1, a bar a head; the chosen head in the query's colour.

    It is a map of one row for picking: each head's bar stands at its number, and a hidden heatmap carries the cells.
    """
    heads = np.arange(len(distances))
    colours = [theme.query if head == chosen else theme.muted for head in heads]
    bars = go.Bar(
        x=heads, y=distances.astype(np.float32), marker={"color": colours}, showlegend=False,
        hoverinfo="skip",
    )  # fmt: skip
    cells = go.Heatmap(
        x=heads, y=[-0.02, 0.98], z=distances.astype(np.float32)[None], opacity=0, showscale=False,
        hovertemplate="head %{x}: %{z:.3f}<extra></extra>",
    )  # fmt: skip
    layout = theme.layout(
        title={"text": plotly_text(title, 80), "x": 0, "y": 1, "yanchor": "top", "pad": {"t": 6}, "font": {"size": 14}},
        xaxis={"title": "head", "dtick": 1, "tick0": 0, "showgrid": False, "range": [-0.6, len(heads) - 0.4]},
        yaxis={"title": "distance (0-1)", "range": [0, max(0.1, float(distances.max(initial=0.0)) * 1.1)]},
        margin={"t": 34, "l": 56, "b": 44, "r": 8},
        height=230,
        bargap=0.25,
    )
    return go.Figure([bars, cells], layout)


def surgery_curve(
    curves: Sequence[Curve],
    axis: str,
    *,
    log: bool,
    own: tuple[float, float] | None = None,
    here: tuple[float, float] | None = None,
    theme: Theme = LIGHT,
) -> go.Figure:
    """Cached bytes per token (log axis) by quality, a line a method.

    axis: what was measured, with its unit; log: its axis is logarithmic; own: (bytes, value) of the model as it was trained;
    here: the setting on screen, ringed.
    """
    colours = [getattr(theme, role) for role in _ROLES]
    drawn = [_line(curve, colours[i % len(colours)], _SHAPES[i % len(_SHAPES)]) for i, curve in enumerate(curves)]
    if own is not None:
        star = {"size": 14, "symbol": "star", "color": theme.ink}
        drawn.append(_mark(own, "as trained", star))
    if here is not None:
        ring = {"size": 18, "symbol": "circle-open", "color": theme.ink, "line": {"width": 2}}
        drawn.append(_mark(here, "on screen", ring))
    layout = theme.layout(
        xaxis={"type": "log", "title": "bytes cached per token (half precision)"} | _ticks(curves, own),
        yaxis={"title": axis, "type": "log" if log else "linear", "automargin": True},
        legend={"orientation": "h", "x": 0, "y": -0.24, "yanchor": "top"},
        margin={"t": 12, "l": 64, "r": 12, "b": 130},
        height=560,
        hovermode="closest",
    )
    return go.Figure(drawn, layout)


def _line(curve: Curve, colour: str, shape: str) -> go.Scatter:
    return go.Scatter(
        x=np.asarray(curve.cached, np.float64), y=np.asarray(curve.values, np.float64), name=plotly_text(curve.title, 60),
        mode="lines+markers", line={"color": colour, "width": 1.5}, marker={"size": 8, "symbol": shape, "color": colour},
        text=[plotly_text(each, 80) for each in curve.told],
        hovertemplate="%{text}<br>%{x:,} B: %{y:.4g}<extra></extra>",
    )  # fmt: skip


def _mark(place: tuple[float, float], name: str, marker: Mapping[str, object]) -> go.Scatter:
    return go.Scatter(
        x=[place[0]], y=[place[1]], name=name, mode="markers", marker=dict(marker),
        hovertemplate=f"{name}<br>%{{x:,}} B: %{{y:.4g}}<extra></extra>",
    )  # fmt: skip


def _ticks(curves: Sequence[Curve], own: tuple[float, float] | None) -> dict[str, object]:
    """A tick at the trained model's bytes and at each halving and doubling that is drawn."""
    every = [x for curve in curves for x in curve.cached] + ([own[0]] if own else [])
    if not every:
        return {}
    base, low, high = own[0] if own else max(every), min(every), max(every)
    ticks = [base * 2.0**power for power in range(-12, 6) if low * 0.9 <= base * 2.0**power <= high * 1.1]
    return {"tickvals": ticks, "ticktext": [f"{tick:,.0f}" for tick in ticks]}
