"""What decoding costs: ways to attend on a GPU's roofline, and bars of bytes and operations for each new token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from headlight.core.memory.config.wording import decimal
from headlight.core.memory.decode_cost import flop
from headlight.core.memory.hardware import Card
from headlight.viz.figures.heading import heading
from headlight.viz.theme import LIGHT, Theme

_SYMBOLS = {
    "full": "circle-open", "mha": "circle", "gqa": "square", "mqa": "diamond", "expanded": "x", "absorbed": "star",
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One way to attend: its operations and bytes for a new token in all layers."""

    name: str
    title: str
    operations: float
    traffic: float

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.operations / self.traffic


def colours(theme: Theme) -> dict[str, str]:
    """The colour of each way to attend, the same in all figures."""
    return {
        "mha": theme.query, "gqa": theme.key, "mqa": theme.value, "absorbed": theme.latent, "expanded": theme.position,
        "full": theme.muted,
    }  # fmt: skip


def roofline(points: Sequence[Point], card: Card, *, others: Sequence[Card] = (), theme: Theme = LIGHT) -> go.Figure:
    """The most operations a second that each way can reach on a card, by its operations per byte; both axes logarithmic.

    others: cards whose roofs are drawn faintly beside.
    """
    span = _span(points, card)
    roofs = [_roofs([other for other in others if other.name != card.name], span, theme.faint, 1.5)] if others else []
    drawn = sorted(points, key=lambda point: list(_SYMBOLS).index(point.name))
    marks = [_mark(point, card, colours(theme)[point.name], theme) for point in drawn]
    layout = theme.layout(
        xaxis={"title": "operations per byte", "type": "log", "range": np.log10(span).tolist(), "dtick": 1,
               "automargin": False},
        yaxis={"title": "operations per second", "type": "log", "automargin": False, "dtick": 1,
               "range": [np.log10(card.roof(span[0])) - 0.15, np.log10(card.flops) + 0.75],
               "tickformat": "~s"},
        height=470, hovermode="closest", annotations=[_ridge(card, theme)],
        **heading(f"{card.title}: roofline", legend_rows=3),
    )  # fmt: skip
    return go.Figure([*roofs, _roofs([card], span, theme.ink, 2.5), *marks], layout)


def _span(points: Sequence[Point], card: Card) -> tuple[float, float]:
    seen = [point.intensity for point in points]
    return min(0.5, min(seen) / 2), max(2 * card.ridge, max(seen) * 3, 2000.0)


def _roofs(drawn: Sequence[Card], span: tuple[float, float], colour: str, width: float) -> go.Scatter:
    """Roofs in one line with gaps between them: a trace costs more than its points."""
    x = [each for card in drawn for each in (span[0], card.ridge, span[1], np.nan)]
    y = [each for card in drawn for each in (card.roof(span[0]), card.flops, card.flops, np.nan)]
    return go.Scatter(
        x=np.array(x), y=np.array(y), mode="lines", showlegend=False, line={"color": colour, "width": width},
        text=[card.title for card in drawn for _ in range(4)],
        hovertemplate="%{text}: %{y:.4~s}FLOP/s at %{x:.4~g} operations per byte<extra></extra>",
    )  # fmt: skip


def _mark(point: Point, card: Card, colour: str, theme: Theme) -> go.Scatter:
    return go.Scatter(
        x=[point.intensity], y=[card.roof(point.intensity)], mode="markers", name=point.title,
        marker={"size": 20 if point.name == "full" else 13, "color": colour, "symbol": _SYMBOLS[point.name],
                "line": {"width": 1.5, "color": colour if point.name == "full" else theme.ground}},
        hovertemplate="%{x:.4~g} operations per byte: at most %{y:.4~s}FLOP/s<extra>" + point.title + "</extra>",
    )  # fmt: skip


def _ridge(card: Card, theme: Theme) -> dict[str, object]:
    return {
        "x": float(np.log10(card.ridge)), "y": float(np.log10(card.flops)), "ax": -46, "ay": -22, "showarrow": True,
        "arrowcolor": theme.muted, "arrowwidth": 1, "arrowhead": 0, "xanchor": "right",
        "text": f"ridge: {card.ridge:,.0f}", "font": {"size": 12, "color": theme.muted},
    }  # fmt: skip


def cost_bars(points: Sequence[Point], *, theme: Theme = LIGHT) -> go.Figure:
    """Bytes through memory (above) and operations (below) for one new token, a bar for each way; logarithmic."""
    panels = {
        "": ("bytes, all layers", [point.traffic for point in points], decimal),
        "2": ("operations, all layers", [point.operations for point in points], flop),
    }
    paint = [colours(theme)[point.name] for point in points]
    names = [point.title for point in points]
    bars = [
        go.Bar(
            y=list(range(len(points))), x=values, orientation="h", xaxis=f"x{axis}", yaxis=f"y{axis}", name=title,
            marker={"color": paint}, text=[told(value) for value in values], textposition="auto", insidetextanchor="end",
            insidetextfont={"color": theme.ground}, constraintext="none", textangle=0,
            cliponaxis=False, customdata=names, hovertemplate="%{customdata}: %{text}<extra></extra>",
        )
        for axis, (title, values, told) in panels.items()
    ]  # fmt: skip
    return go.Figure(bars, _bar_layout(panels, names, theme))


def _bar_layout(panels: Mapping[str, tuple], names: Sequence[str], theme: Theme) -> dict[str, object]:  # type: ignore[type-arg]
    axes: dict[str, object] = {}
    for row, (axis, (title, values, _)) in enumerate(panels.items()):
        low, high = (np.log10(each) for each in (min(values), max(values)))
        axes[f"xaxis{axis}"] = {
            "title": {"text": title, "standoff": 6}, "type": "log", "range": [np.floor(low - 0.6), high + 0.3],
            "anchor": f"y{axis}", "dtick": 1,
            "exponentformat": "SI", "automargin": False,
        }  # fmt: skip
        axes[f"yaxis{axis}"] = {
            "tickvals": list(range(len(names))), "ticktext": list(names), "autorange": "reversed", "showgrid": False,
            "domain": [0.59, 1] if row == 0 else [0, 0.41], "anchor": f"x{axis}", "automargin": True,
        }  # fmt: skip
    shared = heading("One new token") | {"margin": {"l": 8, "r": 12, "t": 34, "b": 46}}
    return theme.layout(height=470, bargap=0.25, **shared, **axes)
