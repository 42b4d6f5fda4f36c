"""Quality against cache: one point a sibling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10

import plotly.graph_objects as go

from headlight.core.analysis.sibling_quality import Measure, Quality
from headlight.viz.figures.spread import spread
from headlight.viz.theme import LIGHT, Theme

_SHAPES = {"none": "circle-open", "sinusoidal": "diamond", "rope": "circle"}
_MORE = ("triangle-up", "cross", "hexagon")  # of encodings that came later
_CLOSE = 1.4  # labels of caches that differ by less than this factor would cover each other
_NUDGES = {"none": 0.97, "sinusoidal": 1.0, "rope": 1.03}  # the encodings of one cache would cover each other
_MORE_NUDGES = (1.06, 0.94, 1.09)


@dataclass(frozen=True)
class _Look:
    """An encoding's colour and point, and the factor by which its points stand beside those of the same cache."""

    colour: str
    shape: str
    nudge: float


def quality_map(
    found: Sequence[Quality],
    name: str,
    measure: Measure,
    *,
    lines: Mapping[str, float] | None = None,
    chosen: str | None = None,
    theme: Theme = LIGHT,
) -> go.Figure:
    """Bytes cached per token in half precision (log axis) by one measure; colour and shape are the position encoding.

    lines: name -> level of something to compare with (a trigram model, chance). chosen: the sibling to mark.
    """
    looks = _looks(found, theme)
    measured = [q for q in found if name in q.scores]
    encodings = dict.fromkeys(q.position for q in measured)
    traces = [_points([q for q in measured if q.position == e], name, looks[e]) for e in encodings]
    ticks = _ticks(found)
    x = {"type": "log", "title": "bytes cached per token, all layers, half precision", "showgrid": False, "tickangle": 0,
         "tickvals": list(ticks), "ticktext": list(ticks.values())}  # fmt: skip
    layout = theme.layout(
        xaxis=x, yaxis={"title": measure.axis, "automargin": True}, height=460,
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        margin={"l": 64, "r": 8, "t": 44, "b": 130}, shapes=_levels(lines or {}, theme),
        annotations=_names(lines or {}, theme) + _mark(found, name, chosen, looks, theme),
    )  # fmt: skip
    return go.Figure(traces, layout)


def _ticks(found: Sequence[Quality]) -> dict[int, str]:
    """Bytes -> label; one close behind another stands two lines lower, so that a phone shows both."""
    ticks: dict[int, str] = {}
    before = 0
    for q in sorted(found, key=Quality.cached_bytes):
        at = q.cached_bytes()
        if at != before:
            close = before > at / _CLOSE and not ticks[before].startswith("<br>")
            ticks[at] = f"{'<br><br>' if close else ''}{q.attention.upper()}<br>{at:,} B"
        before = at
    return ticks


def _looks(found: Sequence[Quality], theme: Theme) -> dict[str, _Look]:
    names = list(dict.fromkeys(q.position for q in found))
    known = {"none": theme.muted, "sinusoidal": theme.position, "rope": theme.query}
    colours = spread(names, known, (theme.key, theme.value, theme.latent))
    shapes, nudges = spread(names, _SHAPES, _MORE), spread(names, _NUDGES, _MORE_NUDGES)
    return {name: _Look(colours[name], shapes[name], nudges[name]) for name in names}


def _points(found: Sequence[Quality], name: str, look: _Look) -> go.Scatter:
    colour = look.colour
    scores = [q.scores[name] for q in found]
    bars = [score.error or 0.0 for score in scores]
    return go.Scatter(
        x=[q.cached_bytes() * look.nudge for q in found],
        y=[score.value for score in scores],
        error_y={"array": bars, "thickness": 1.2, "width": 4, "color": colour, "visible": any(bars)},
        mode="markers",
        marker={"size": 12, "color": colour, "symbol": look.shape, "line": {"width": 2, "color": colour}},
        name=found[0].title.split(" · ")[1],
        text=[f"{q.title}: {q.parameters:,} parameters, {q.kept} values per token per layer" for q in found],
        hovertemplate="%{text}<br>%{y:.4f}<extra></extra>",
    )


def _levels(lines: Mapping[str, float], theme: Theme) -> list[dict[str, object]]:
    style = {"color": theme.muted, "width": 1, "dash": "dot"}
    return [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": style} for y in lines.values()
    ]


def _names(lines: Mapping[str, float], theme: Theme) -> list[dict[str, object]]:
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    return [
        place | {"y": y, "text": f"{name}: {y:.3f}", "font": {"color": theme.muted, "size": 12}}
        for name, y in lines.items()
    ]


def _mark(
    found: Sequence[Quality], name: str, chosen: str | None, looks: Mapping[str, _Look], theme: Theme
) -> list[dict[str, object]]:
    here = [q for q in found if q.name == chosen and name in q.scores]
    return [
        {"x": log10(q.cached_bytes() * looks[q.position].nudge), "y": q.scores[name].value, "text": f"<b>{q.title}</b>",
         "showarrow": True, "arrowcolor": theme.ink, "ax": 34, "ay": -30, "font": {"color": theme.ink}}
        for q in here
    ]  # fmt: skip
