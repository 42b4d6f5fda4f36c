"""Memory against context on logarithmic axes, a line a model, with the memory of cards as levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10

import numpy as np
import plotly.graph_objects as go

from core.memory.wording import decimal
from viz.text import plotly_text
from viz.theme import LIGHT, Theme

_DASHES = ("solid", "dash")
_TICKS = tuple(4**n for n in range(2, 13))  # 16 to 16,777,216 tokens


@dataclass(frozen=True)
class Line:
    """One model. title: its name; sizes (n,): bytes at each context; at: bytes at the chosen one; most: the longest text it
    is made for, None if that is not known.
    """

    title: str
    sizes: np.ndarray
    at: float
    most: int | None = None


def memory_curves(
    contexts: np.ndarray, lines: Sequence[Line], context: int, levels: Mapping[str, float], title: str, *,
    chosen: str = "", axis: str = "memory", theme: Theme = LIGHT,
) -> go.Figure:  # fmt: skip
    """A line a model over contexts (n,), faint beyond the longest text it is made for, and a point at the chosen context.

    levels: a card's name -> its bytes; chosen: the one that is counted with.
    """
    colours = [theme.query, theme.key, theme.value, theme.latent, theme.position, theme.muted]
    traces = []
    for i, line in enumerate(lines):
        style = {"color": colours[i % 6], "width": 2.2, "dash": _DASHES[i // 6 % 2]}
        beyond = contexts > (line.most or contexts[-1])
        traces += [_curve(contexts, np.where(beyond, np.nan, line.sizes), line.title, style)]
        if beyond.any():
            # One point more, so that the two parts of the line meet.
            first = int(beyond.argmax())
            faint = np.where(np.arange(len(contexts)) >= max(0, first - 1), line.sizes, np.nan)
            traces += [_curve(contexts, faint, line.title, style | {"width": 1.2}, faint=True)]
    traces.append(_points(lines, context, colours, theme))
    return go.Figure(traces, _layout(contexts, lines, context, levels, title, chosen, axis, theme))


def _curve(x: np.ndarray, y: np.ndarray, name: str, style: dict[str, object], faint: bool = False) -> go.Scatter:
    name = plotly_text(name, 48)
    return go.Scatter(
        x=x, y=y, name=name, mode="lines", line=style, opacity=0.45 if faint else 1.0, showlegend=not faint, legendgroup=name,
        text=[decimal(v) if v == v else "" for v in y.tolist()],
        hovertemplate="%{x:,} tokens: %{text}" + (", beyond what it is made for" if faint else "") + f"<extra>{name}</extra>",
    )  # fmt: skip


def _points(lines: Sequence[Line], context: int, colours: Sequence[str], theme: Theme) -> go.Scatter:
    return go.Scatter(
        x=[context] * len(lines), y=[line.at for line in lines], mode="markers", name=f"at {context:,} tokens",
        showlegend=False, marker={"size": 9, "color": [colours[i % 6] for i in range(len(lines))], "line": {"width": 2, "color": theme.ground}},
        text=[f"{plotly_text(line.title, 48)}: {decimal(line.at)}" for line in lines], hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _layout(
    contexts: np.ndarray, lines: Sequence[Line], context: int, levels: Mapping[str, float], title: str, chosen: str, axis: str,
    theme: Theme,
) -> dict[str, object]:  # fmt: skip
    sizes = np.concatenate([line.sizes for line in lines] or [np.ones(1)])
    positive = sizes[np.isfinite(sizes) & (sizes > 0)]
    low = min(float(positive.min()) if len(positive) else 1.0, min(levels.values(), default=1e9))
    high = max(float(positive.max()) if len(positive) else 1.0, max(levels.values(), default=1e9))
    decades = [10**n for n in range(int(log10(low)), int(log10(high)) + 2)]
    ticks = [t for t in _TICKS if contexts[0] <= t <= contexts[-1]]
    return theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 0.985, "yanchor": "top"},
        xaxis={"title": "tokens of context", "type": "log", "tickvals": ticks, "ticktext": [f"{t:,}" for t in ticks],
               "automargin": False, "range": [log10(contexts[0]), log10(contexts[-1])]},
        yaxis={"title": axis, "type": "log", "tickvals": decades, "ticktext": [decimal(d) for d in decades],
               "automargin": False, "range": [log10(low) - 0.1, log10(high) + 0.15]},
        legend={"orientation": "h", "x": 0, "y": -0.17, "yanchor": "top"}, showlegend=True, height=470 + 22 * (len(lines) // 2),
        margin={"l": 66, "r": 12, "t": 40, "b": 90 + 22 * (len(lines) // 2)}, hovermode="closest",
        shapes=[_level(y, name == chosen, theme) for name, y in levels.items()] + [_upright(context, theme)],
        annotations=[_named(name, y, name == chosen, contexts, theme) for name, y in levels.items()],
    )  # fmt: skip


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


def _named(name: str, y: float, chosen: bool, contexts: np.ndarray, theme: Theme) -> dict[str, object]:
    return {
        "x": log10(contexts[0]), "y": log10(y), "xanchor": "left", "yanchor": "bottom", "showarrow": False, "text": name,
        "font": {"size": 11, "color": theme.ink if chosen else theme.muted},
    }  # fmt: skip
