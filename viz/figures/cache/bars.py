"""Bytes of caches as bars, one a model, by what is kept; the formula with its numbers stands below each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from headlight.core.memory.config.wording import decimal
from headlight.viz.text import plotly_text
from headlight.viz.theme import LIGHT, Theme

# What is kept -> its name and its colour; one vector for keys and values is a latent of a kind.
PARTS = {
    "keys": ("keys", "key"), "values": ("values", "value"), "one": ("key = value", "latent"), "latent": ("latent", "latent"),
    "rotated": ("rotated key", "position"), "indexer": ("indexer", "query"),
}  # fmt: skip
# Pixels: of a name, a bar, a line of a formula and the space below it; characters on such a line.
_NAME, _BAR, _LINE, _GAP, _CHARACTERS = 22, 20, 14, 16, 60


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
    """Stacked bars, the first one on top; each with its name and size above it and its formula below.

    The vertical axis counts pixels, so that a formula of several lines has its room.
    """
    tops = _tops(bars)
    middles = [top + _NAME + _BAR / 2 for top in tops[:-1]]
    kinds = [kind for kind in PARTS if any(bar.parts.get(kind) for bar in bars)]
    traces = [_part(kind, bars, middles, theme) for kind in kinds]
    if any(bar.reserved is not None for bar in bars):
        traces.append(_reserved(bars, middles, theme))
    longest = max((max(bar.size, bar.reserved or 0) for bar in bars), default=0) or 1
    below = 12 + 21 * -(-len(traces) // 3)  # a phone has room for three names of parts in a row
    layout = theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 0.985, "yanchor": "top"},
        barmode="stack", height=36 + tops[-1] + below, margin={"l": 8, "r": 8, "t": 36, "b": below},
        xaxis={"range": [0, longest * 1.02], "showticklabels": False, "showgrid": False, "fixedrange": True},
        yaxis={"range": [tops[-1], 0], "showticklabels": False, "showgrid": False, "fixedrange": True},
        legend={"orientation": "h", "x": 0, "y": 0, "yanchor": "top", "traceorder": "normal"}, showlegend=True,
        annotations=[note for bar, top in zip(bars, tops, strict=False) for note in _texts(bar, top, theme)],
    )  # fmt: skip
    return go.Figure(traces, layout)


def _tops(bars: Sequence[Bar]) -> list[int]:
    """Where each bar's name begins, and last where all of them end."""
    tops = [0]
    for bar in bars:
        tops.append(tops[-1] + _NAME + _BAR + _LINE * len(_lines(bar.formula)) + _GAP)
    return tops


def _part(kind: str, bars: Sequence[Bar], middles: list[float], theme: Theme) -> go.Bar:
    name, role = PARTS[kind]
    return go.Bar(
        x=[bar.parts.get(kind, 0) for bar in bars], y=middles, width=_BAR, orientation="h", name=name,
        marker={"color": getattr(theme, role)}, hovertemplate="%{customdata}<extra></extra>",
        customdata=[f"{plotly_text(bar.title, 48)}: {name} {decimal(bar.parts.get(kind, 0))}" for bar in bars],
    )  # fmt: skip


def _reserved(bars: Sequence[Bar], middles: list[float], theme: Theme) -> go.Bar:
    more = [max(0, (bar.reserved or 0) - bar.size) for bar in bars]
    pattern = {"shape": "/", "fgcolor": theme.muted, "size": 6, "solidity": 0.2}
    return go.Bar(
        x=more, y=middles, width=_BAR, orientation="h", name="reserved",
        marker={"color": "rgba(0,0,0,0)", "line": {"color": theme.muted, "width": 1}, "pattern": pattern},
        customdata=[f"{plotly_text(bar.title, 48)}: {decimal(bar.reserved or bar.size)} in all" for bar in bars],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _texts(bar: Bar, top: int, theme: Theme) -> list[dict[str, object]]:
    at = {"xref": "paper", "x": 0, "xanchor": "left", "showarrow": False, "align": "left"}
    size = decimal(bar.size) + (f", reserved {decimal(bar.reserved)}" if bar.reserved is not None else "")
    name = {"y": top + _NAME - 1, "yanchor": "bottom", "text": f"<b>{plotly_text(bar.title, 48)}</b>  {size}",
            "font": {"size": 13, "color": theme.ink}}  # fmt: skip
    formula = {"y": top + _NAME + _BAR + 1, "yanchor": "top", "text": "<br>".join(_lines(bar.formula)),
               "font": {"size": 11, "color": theme.muted}}  # fmt: skip
    return [at | name, at | formula]


def _lines(formula: str) -> list[str]:
    """The formula cut at its signs, so that a phone shows all of it."""
    lines = [""]
    for word in formula.replace(" + ", " +\n").replace(" × ", " ×\n").replace(" = ", "\n= ").split("\n"):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _CHARACTERS:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return [plotly_text(line, 120) for line in lines]
