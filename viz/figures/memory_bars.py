"""Bytes of caches as bars, one a model, by what is kept; the formula with its numbers stands below each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.memory.wording import decimal
from viz.text import plotly_text
from viz.theme import LIGHT, Theme

# What is kept -> its name and its colour; one vector for keys and values is a latent of a kind.
PARTS = {
    "keys": ("keys", "key"), "values": ("values", "value"), "one": ("one vector, key and value", "latent"),
    "latent": ("latent", "latent"), "rotated": ("rotated key", "position"), "indexer": ("indexer's keys", "query"),
}  # fmt: skip
_ROW = 74  # pixels a bar with its two lines of text
_LINE = 62  # characters of a formula on a line


@dataclass(frozen=True)
class Bar:
    """One bar. title: whose; parts: what is kept -> bytes (of `core.memory.sizes.parts_at`); formula: how they come about;
    reserved: bytes that an engine sets aside, None for no such part.
    """

    title: str
    parts: Mapping[str, int]
    formula: str
    reserved: int | None = None

    @property
    def size(self) -> int:
        """Bytes kept."""
        return sum(self.parts.values())


def memory_bars(bars: Sequence[Bar], title: str, *, theme: Theme = LIGHT) -> go.Figure:
    """Stacked bars, the first one on top; each with its name and size above it and its formula below."""
    places = list(range(len(bars)))
    kinds = [kind for kind in PARTS if any(kind in bar.parts for bar in bars)]
    traces = [_part(kind, bars, places, theme) for kind in kinds]
    if any(bar.reserved is not None for bar in bars):
        traces.append(_reserved(bars, places, theme))
    longest = max((max(bar.size, bar.reserved or 0) for bar in bars), default=1) or 1
    layout = theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 0.985, "yanchor": "top",
               "yref": "container"},
        barmode="stack", bargap=0.72, height=96 + _ROW * len(bars), margin={"l": 8, "r": 8, "t": 58, "b": 8},
        xaxis={"range": [0, longest * 1.02], "showticklabels": False, "showgrid": False, "fixedrange": True},
        yaxis={"range": [len(bars) - 0.42, -0.62], "showticklabels": False, "showgrid": False, "fixedrange": True},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "yref": "paper", "traceorder": "normal"},
        showlegend=True, annotations=[note for i, bar in enumerate(bars) for note in _texts(i, bar, theme)],
    )  # fmt: skip
    return go.Figure(traces, layout)


def _part(kind: str, bars: Sequence[Bar], places: list[int], theme: Theme) -> go.Bar:
    name, role = PARTS[kind]
    return go.Bar(
        x=[bar.parts.get(kind, 0) for bar in bars], y=places, orientation="h", name=name,
        marker={"color": getattr(theme, role)},
        customdata=[f"{plotly_text(bar.title, 48)}: {name} {decimal(bar.parts.get(kind, 0))}" for bar in bars],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _reserved(bars: Sequence[Bar], places: list[int], theme: Theme) -> go.Bar:
    more = [max(0, (bar.reserved or 0) - bar.size) for bar in bars]
    marker = {"color": "rgba(0,0,0,0)", "line": {"color": theme.muted, "width": 1},
              "pattern": {"shape": "/", "fgcolor": theme.muted, "size": 6, "solidity": 0.2}}  # fmt: skip
    return go.Bar(
        x=more, y=places, orientation="h", name="reserved beyond the windows", marker=marker,
        customdata=[f"{plotly_text(bar.title, 48)}: {decimal(bar.reserved or 0)} reserved in all" for bar in bars],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _texts(place: int, bar: Bar, theme: Theme) -> list[dict[str, object]]:
    at = {"xref": "paper", "x": 0, "y": place, "xanchor": "left", "showarrow": False, "align": "left"}
    size = decimal(bar.size) + (f", reserved {decimal(bar.reserved)}" if bar.reserved is not None else "")
    head = {
        "text": f"<b>{plotly_text(bar.title, 48)}</b>  {size}",
        "yanchor": "bottom",
        "yshift": 10,
        "font": {"size": 13, "color": theme.ink},
    }
    foot = {
        "text": "<br>".join(_lines(bar.formula)),
        "yanchor": "top",
        "yshift": -9,
        "font": {"size": 11, "color": theme.muted},
    }
    return [at | head, at | foot]


def _lines(formula: str) -> list[str]:
    """The formula cut at its plus and times signs, so that a phone shows all of it."""
    lines = [""]
    for word in formula.replace(" + ", " +\n").replace(" × ", " ×\n").split("\n"):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _LINE:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return [plotly_text(line, 120) for line in lines]
