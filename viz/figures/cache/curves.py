"""Memory against context on logarithmic axes, a line a model, with the memory of GPUs as levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np
import plotly.graph_objects as go

from headlight.core.memory.config.wording import decimal
from headlight.viz.text import plotly_text
from headlight.viz.theme import LIGHT, Theme

_DASHES = ("solid", "dash")
_TICKS = {
    10**n: name for n, name in enumerate(("1", "10", "100", "1,000", "10,000", "100,000", "1 million", "10 million"))
}


@dataclass(frozen=True)
class Line:
    """One model. title: its name; sizes: bytes at each context; at: bytes at the chosen one; most: the longest text it
    is made for, None if that is not known.
    """

    title: str
    sizes: Sequence[float]
    at: float
    most: int | None = None


def memory_curves(
    contexts: Sequence[int], lines: Sequence[Line], context: int, levels: Mapping[str, float], title: str, *,
    chosen: str = "", axis: str = "memory", theme: Theme = LIGHT,
) -> go.Figure:  # fmt: skip
    """A line a model over the contexts, faint beyond the longest text it is made for, and a point at the chosen context.

    levels: a card's name -> its bytes; chosen: the one that is counted with.
    """
    colours = [theme.query, theme.key, theme.value, theme.latent, theme.position, theme.muted]
    x, traces = np.asarray(contexts), []
    for i, line in enumerate(lines):
        style = {"color": colours[i % 6], "width": 2.2, "dash": _DASHES[i // 6 % 2]}
        sizes = np.asarray(line.sizes, dtype=float)
        beyond = x > (line.most or x[-1])
        traces += [_curve(x, np.where(beyond, np.nan, sizes), line.title, style)]
        if beyond.any():
            # One point more, so that the two parts of the line meet.
            first = int(beyond.argmax())
            faint = np.where(np.arange(len(x)) >= max(0, first - 1), sizes, np.nan)
            traces += [_curve(x, faint, line.title, style | {"width": 1.2}, faint=True)]
    traces.append(_points(lines, context, colours, theme))
    return go.Figure(traces, _layout(contexts, lines, context, levels, title, chosen, axis, theme))


def _curve(x: np.ndarray, y: np.ndarray, name: str, style: dict[str, object], faint: bool = False) -> go.Scatter:
    name = plotly_text(name, 48)
    return go.Scatter(
        x=x, y=y, name=name, mode="lines", line=style, opacity=0.45 if faint else 1.0, showlegend=not faint, legendgroup=name,
        hovertemplate=f"%{{x:,}} tokens: %{{y:.4~s}}B{', beyond the trained context' if faint else ''}<extra>{name}</extra>",
    )  # fmt: skip


def _points(lines: Sequence[Line], context: int, colours: Sequence[str], theme: Theme) -> go.Scatter:
    return go.Scatter(
        x=[context] * len(lines), y=[line.at for line in lines], mode="markers", name=f"at {context:,} tokens",
        showlegend=False,
        marker={"size": 9, "color": [colours[i % 6] for i in range(len(lines))], "line": {"width": 2, "color": theme.ground}},
        text=[f"{plotly_text(line.title, 48)}: {decimal(line.at)}" for line in lines], hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _layout(
    contexts: Sequence[int], lines: Sequence[Line], context: int, levels: Mapping[str, float], title: str, chosen: str,
    axis: str, theme: Theme,
) -> dict[str, object]:  # fmt: skip
    low, high = _span(lines, levels)
    ticks, sizes = [t for t in _TICKS if contexts[0] <= t <= contexts[-1]], _round_sizes(low, high)
    rows = 21 * len(lines)  # a phone has room for one name in a row
    return theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 0.985, "yanchor": "top"},
        xaxis={"title": {"text": "tokens of context", "standoff": 6}, "type": "log", "automargin": False, "tickvals": ticks,
               "ticktext": [_TICKS[t] for t in ticks], "range": [log10(contexts[0]), log10(contexts[-1])]},
        yaxis={"title": {"text": axis, "standoff": 4}, "type": "log", "automargin": False, "tickvals": sizes,
               "ticktext": [decimal(size) for size in sizes], "range": [log10(low) - 0.1, log10(high) + 0.15]},
        legend={"orientation": "h", "x": 0, "y": 0, "yanchor": "bottom", "yref": "container", "tracegroupgap": 0},
        showlegend=True,
        margin={"l": 82, "r": 12, "t": 40, "b": 62 + rows}, height=428 + rows, hovermode="closest",
        shapes=[_level(y, name == chosen, theme) for name, y in levels.items()] + [_upright(context, theme)],
        annotations=_names(levels, chosen, log10(high / low) + 0.25, theme),
    )  # fmt: skip


def _span(lines: Sequence[Line], levels: Mapping[str, float]) -> tuple[float, float]:
    sizes = [size for line in lines for size in line.sizes if size > 0] + list(levels.values())
    return (min(sizes), max(sizes)) if sizes else (1.0, 1e9)


def _round_sizes(low: float, high: float) -> list[float]:
    """Powers of ten; twos and fives between them where there are few."""
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= 4 else (1,)
    step = max(1, len(decades) // 7)
    return [float(m * 10**n) for n in decades[::step] for m in steps]


def _level(y: float, chosen: bool, theme: Theme) -> dict[str, object]:
    line = {
        "color": theme.ink if chosen else theme.muted,
        "width": 1.6 if chosen else 0.8,
        "dash": "solid" if chosen else "dot",
    }
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line, "layer": "below"}


def _upright(x: float, theme: Theme) -> dict[str, object]:
    line = {"color": theme.muted, "width": 1, "dash": "dot"}
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "line": line, "layer": "below"}


def _names(levels: Mapping[str, float], chosen: str, span: float, theme: Theme) -> list[dict[str, object]]:
    """The levels' names, on the left or the right, wherever none is in the way; the chosen one first. span: in decades."""
    taken: list[tuple[float, int]] = []
    notes = []
    for name in sorted(levels, key=lambda name: (name != chosen, levels[name])):
        y = log10(levels[name])
        free = [side for side in (0, 1) if all(other != side or abs(y - at) > span / 22 for at, other in taken)]
        if free:
            taken.append((y, free[0]))
            notes.append(_named(name, y, free[0], name == chosen, theme))
    return notes


def _named(name: str, y: float, side: int, chosen: bool, theme: Theme) -> dict[str, object]:
    return {
        "xref": "paper", "x": side, "y": y, "xanchor": ("left", "right")[side], "yanchor": "bottom", "showarrow": False,
        "text": name, "font": {"size": 11, "color": theme.ink if chosen else theme.muted},
    }  # fmt: skip
