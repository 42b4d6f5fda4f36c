"""What caches hold, token by token, and what a step takes as they grow: measured points, computed lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from headlight.core.measured.decode_timing import Timed
from headlight.core.measured.held import Held
from headlight.viz.figures.cache.costs import colours
from headlight.viz.figures.heading import heading
from headlight.viz.figures.spread import spread
from headlight.viz.text import plotly_text
from headlight.viz.theme import LIGHT, Theme

_KINDS = {"mla": "absorbed"}  # attention -> its colour in `colours`, where that has another name
_FAINT = "rgba(128,128,128,0.12)"  # a filled area on either ground
_SHAPES = {"rope": "circle", "sinusoidal": "diamond-open", "none": "square-open"}
_MORE = ("triangle-up-open", "cross-open", "hexagon-open")  # of encodings that came later


def held_growth(
    found: Sequence[Held], kinds: Mapping[str, tuple[str, str]], at: int | None = None, *, theme: Theme = LIGHT
) -> go.Figure:
    """Bytes held after each token by several models. kinds: model -> its attention and position; at: a token to mark.

    Points are what tensors hold, lines what the formula says. Models with one kind of attention lie on each other: they have
    one line, and a shape of point for each encoding.
    """
    alike: dict[str, list[Held]] = {}
    for held in found:
        alike.setdefault(kinds[held.name][0], []).append(held)
    known = colours(theme)
    paint = {name: known.get(_KINDS.get(name, name), theme.ink) for name in alike}
    lines = [
        _line(_numbers(group[0]), group[0].computed, f"{attention.upper()}, formula", paint[attention])
        for attention, group in alike.items()
    ]
    shapes = spread(dict.fromkeys(position for _, position in kinds.values()), _SHAPES, _MORE)
    points = [_points(group, kinds, shapes, paint[attention]) for attention, group in alike.items()]
    return go.Figure([*lines, *points], _growth_layout("The siblings: bytes held", at, theme))


def held_and_reserved(held: Held, at: int | None = None, *, theme: Theme = LIGHT) -> go.Figure:
    """One model: bytes its tensors hold, the formula, and the buffers that they lie in, which double when they are full."""
    tokens = _numbers(held)
    drawn = [
        go.Scatter(
            x=tokens, y=np.array(held.reserved), mode="lines", name="buffers, reserved", fill="tozeroy",
            line={"color": theme.muted, "width": 1.5, "shape": "hv", "dash": "dot"}, fillcolor=_FAINT,
            hovertemplate="%{x} tokens: %{y:,} B reserved<extra></extra>",
        ),
        _line(tokens, held.computed, "formula", theme.ink),
        go.Scatter(
            x=tokens, y=np.array(held.held), mode="markers", name="tensors, held", marker={"size": 7, "color": theme.latent},
            hovertemplate="%{x} tokens: %{y:,} B held<extra></extra>",
        ),
    ]  # fmt: skip
    return go.Figure(drawn, _growth_layout(f"{plotly_text(held.title, 40)}: held, reserved", at, theme))


def step_times(rows: Sequence[Timed], *, theme: Theme = LIGHT) -> go.Figure:
    """Median milliseconds of a step by context, a line for each way to attend; bars reach from quartile to quartile."""
    names = list(dict.fromkeys(row.name for row in rows))
    drawn = [_timed([row for row in rows if row.name == name], colours(theme)[name]) for name in names]
    contexts = sorted({row.context for row in rows})
    layout = theme.layout(
        xaxis={"title": "tokens remembered", "type": "log", "tickvals": contexts, "ticktext": [f"{c:,}" for c in contexts],
               "automargin": False},
        yaxis={"title": "milliseconds per step, one layer", "type": "log", "automargin": False, "dtick": _ticks(rows)},
        height=460, hovermode="closest", **heading("A step of one layer", legend_rows=3),
    )  # fmt: skip
    return go.Figure(drawn, layout)


def _ticks(rows: Sequence[Timed]) -> int | str:
    """Powers of ten, or 1, 2, 5 between them where they would be too few."""
    medians = [row.times.median for row in rows]
    return 1 if max(medians) > 50 * min(medians) else "D2"


def _timed(rows: Sequence[Timed], colour: str) -> go.Scatter:
    medians = np.array([row.times.median for row in rows]) * 1e3
    quarters = np.array([row.times.middle_half for row in rows]) * 1e3
    return go.Scatter(
        x=np.array([row.context for row in rows]), y=medians, mode="lines+markers", name=rows[0].title,
        line={"color": colour, "width": 2}, marker={"size": 7},
        error_y={"type": "data", "symmetric": False, "array": quarters[:, 1] - medians, "arrayminus": medians - quarters[:, 0],
                 "thickness": 1.2, "width": 4, "color": colour},
        hovertemplate="%{x:,} tokens: %{y:.3~g} ms<extra>" + rows[0].title + "</extra>",
    )  # fmt: skip


def _numbers(held: Held) -> np.ndarray:
    return np.arange(1, len(held.held) + 1)


def _line(tokens: np.ndarray, sizes: Sequence[int], name: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=tokens, y=np.array(sizes), mode="lines", name=name, line={"color": colour, "width": 1.5},
        hovertemplate="%{x} tokens: %{y:,} B<extra>" + name + "</extra>",
    )  # fmt: skip


def _points(
    group: Sequence[Held], kinds: Mapping[str, tuple[str, str]], shapes: Mapping[str, str], colour: str
) -> go.Scatter:
    symbols = [shapes[kinds[held.name][1]] for held in group for _ in held.held]
    return go.Scatter(
        x=np.concatenate([_numbers(held) for held in group]), y=np.concatenate([np.array(held.held) for held in group]),
        mode="markers", name=f"{kinds[group[0].name][0].upper()}, held", showlegend=False,
        text=[plotly_text(held.title, 40) for held in group for _ in held.held],
        marker={"size": 8, "color": colour, "symbol": symbols, "line": {"width": 1, "color": colour}},
        hovertemplate="%{x} tokens: %{y:,} B held<extra>%{text}</extra>",
    )  # fmt: skip


def _growth_layout(title: str, at: int | None, theme: Theme) -> dict[str, object]:
    line = {"color": theme.muted, "width": 1, "dash": "dot"}
    return theme.layout(
        xaxis={"title": "tokens read", "rangemode": "tozero", "automargin": False},
        yaxis={"title": "bytes in all layers", "rangemode": "tozero", "automargin": False, "exponentformat": "SI"},
        height=380, hovermode="closest", **heading(title, legend_rows=2),
        shapes=[] if at is None else [{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": at, "x1": at, "line": line}],
    )  # fmt: skip
