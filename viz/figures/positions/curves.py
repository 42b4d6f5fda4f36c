"""Curves over positions, distances or pairs: waves, dot products, scores, frequencies, slopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10

import numpy as np
import plotly.graph_objects as go

from headlight.viz.theme import LIGHT, Theme

_DASHES = ("solid", "dash", "dot", "dashdot")


def curves(
    x: np.ndarray,
    lines: Mapping[str, np.ndarray],
    title: str,
    *,
    axes: tuple[str, str],
    log: tuple[bool, bool] = (False, False),
    marks: Mapping[str, float] | None = None,
    at: Mapping[str, tuple[float, float]] | None = None,
    colours: Sequence[str] = (),
    markers: bool = False,
    height: int = 340,
    theme: Theme = LIGHT,
) -> go.Figure:
    """One line a name over a common x (n,); NaN leaves a gap.

    axes: titles of x and y; log: which of them is logarithmic; marks: name -> x of a thin upright line; at: name -> a point
    to mark; colours: names of the theme's roles, one a line.
    """
    roles = [getattr(theme, name) for name in colours] or _palette(theme)
    drawn = [
        go.Scatter(
            x=x, y=y, name=name, mode="lines+markers" if markers else "lines", marker={"size": 5},
            line={"color": roles[i % len(roles)], "width": 2, "dash": _DASHES[i // len(roles) % 4]},
            hovertemplate=f"{axes[0]} %{{x:,.6~g}}: %{{y:.4g}}<extra>{name}</extra>",
        )
        for i, (name, y) in enumerate(lines.items())
    ]  # fmt: skip
    drawn += [_point(name, place, theme) for name, place in (at or {}).items()]
    kinds = ["log" if on else "linear" for on in log]
    layout = theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 0.98, "yanchor": "top"},
        xaxis={"title": axes[0], "type": kinds[0], "automargin": False, "dtick": 1 if log[0] else None},
        yaxis={"title": axes[1], "type": kinds[1], "automargin": False, "exponentformat": "power",
               "dtick": _decades(lines) if log[1] else None},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}, showlegend=len(drawn) > 1,
        margin={"l": 64, "r": 12, "t": (34, 34, 62, 62, 84)[min(len(drawn), 4)], "b": 52}, height=height, hovermode="closest",
        shapes=[_upright(x0, theme) for x0 in (marks or {}).values()],
        annotations=[_named(name, x0, float(np.max(x)), log[0], theme) for name, x0 in (marks or {}).items()],
    )  # fmt: skip
    return go.Figure(drawn, layout)


def _decades(lines: Mapping[str, np.ndarray]) -> int:
    """Powers of ten from tick to tick, so that there are at most seven."""
    sizes = np.concatenate([y[np.isfinite(y) & (y > 0)] for y in lines.values()] or [np.ones(1)])
    span = np.log10(sizes.max() / sizes.min()) if len(sizes) else 1.0
    return max(1, round(span / 6))


def _palette(theme: Theme) -> list[str]:
    return [theme.query, theme.key, theme.value, theme.latent, theme.position, theme.muted]


def _point(name: str, place: tuple[float, float], theme: Theme) -> go.Scatter:
    return go.Scatter(
        x=[place[0]], y=[place[1]], name=name, mode="markers",
        marker={"size": 11, "color": theme.ground, "line": {"width": 3, "color": theme.ink}},
        hovertemplate="%{x:,.6~g}: %{y:.4g}<extra>" + name + "</extra>",
    )  # fmt: skip


def _upright(x: float, theme: Theme) -> dict[str, object]:
    line = {"color": theme.muted, "width": 1, "dash": "dot"}
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "line": line}


def _named(name: str, x: float, far: float, log: bool, theme: Theme) -> dict[str, object]:
    # At the foot of its line, on the side where there is room.
    return {
        "x": log10(x) if log else x, "yref": "paper", "y": 0, "yanchor": "bottom", "text": name,
        "xanchor": "right" if x > 0.85 * far else "left", "showarrow": False, "font": {"size": 11, "color": theme.muted},
    }  # fmt: skip
