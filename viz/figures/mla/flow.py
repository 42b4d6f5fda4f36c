"""Data flow through one attention layer, drawn: boxes to scale, arrows, what a decoder remembers in full colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from headlight.viz.figures.mla.flow_layout import Box, extent
from headlight.viz.theme import LIGHT, Theme

# Step -> symbol, and the role whose hue it has.
SYMBOLS: Mapping[str, tuple[str, str]] = {
    "h": ("h", "muted"), "c_q": ("c<sup>Q</sup>", "latent"), "q_nope": ("q<sup>C</sup>", "query"),
    "q_rope": ("q<sup>R</sup>", "position"), "q": ("q", "query"), "c_kv": ("c<sup>KV</sup>", "latent"),
    "k_rope": ("k<sup>R</sup>", "position"), "k_nope": ("k<sup>C</sup>", "key"), "k": ("k", "key"), "v": ("v", "value"),
    "q_latent": ("q̃", "query"), "scores": ("scores", "muted"), "weights": ("weights", "muted"), "z": ("z", "latent"),
    "heads": ("o", "value"), "out": ("out", "muted"),
}  # fmt: skip
FOOT = 40  # pixels below the boxes, for the scale
_TOP = 28  # pixels for the title
_LABEL, _LINE = 31, 14  # pixels above a box, taken by its label; by one more line
_ACROSS = 64  # numbers that the scale shows


def flow(
    found: Sequence[Box], title: str, *, head: int, kv_head: int, wide: float = 0.0, theme: Theme = LIGHT
) -> go.Figure:  # fmt: skip
    """The boxes of `flow_layout.boxes` as a figure.

    head, kv_head: the ones that are outlined; wide: numbers that the figure is wide at least, so that two of them have one
    scale; title: plain text.
    """
    right, bottom = extent(found)
    plain = {"visible": False, "fixedrange": True, "automargin": False}
    by_name = {box.step.name: box for box in found}
    ways = [(by_name[source], box) for box in found for source in box.sources if source in by_name]
    layout = theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 2}, "y": 1,
               "yanchor": "top"},
        xaxis=plain | {"range": [-4, max(wide, right) + 4]}, yaxis=plain | {"range": [bottom + FOOT, 0]},
        barmode="overlay", margin={"l": 2, "r": 2, "t": _TOP, "b": 2}, height=round(bottom + FOOT) + _TOP + 2,
        showlegend=False, hovermode="closest",
        annotations=[*(_label(box, theme) for box in found), *(_arrow(*way, theme) for way in ways),
                     *_scale_words(found, bottom, theme)],
        shapes=[*(bend for way in ways for bend in _bend(*way, theme)), *_scale(found, bottom, theme)],
    )  # fmt: skip
    return go.Figure(_bars(found, head, kv_head, theme), layout)


def _bars(found: Sequence[Box], head: int, kv_head: int, theme: Theme) -> go.Bar:
    """A bar a head, or several where a head is put together of inputs: (box, left, width, step, chosen)."""
    parts = []
    for box in found:
        picked = kv_head if box.step.axes[0] == "n_kv_heads" else head
        for number in range(box.heads):
            left = box.x + number * box.step.value.shape[-1]
            for name, width in box.pieces:
                parts.append((box, left, width, name, box.heads > 1 and number == picked, number))
                left += width
    parts.sort(key=lambda part: part[4])  # the outlined ones last, so that nothing is drawn over their line
    fill = [
        _rgba(getattr(theme, symbol_of(n)[1]), 0.92 if b.kept else 0.55 if c else 0.25) for b, _, _, n, c, _ in parts
    ]
    line = [theme.ink if chosen else theme.ground for *_, chosen, _ in parts]
    return go.Bar(
        orientation="h",
        base=np.array([left for _, left, *_ in parts]),
        x=np.array([width for _, _, width, *_ in parts]),
        y=np.array([box.y + box.height / 2 for box, *_ in parts]),
        width=np.array([box.height for box, *_ in parts]),
        marker={"color": fill, "line": {"color": line, "width": [2 if c else 1 for *_, c, _ in parts]}},
        customdata=[_told(box, name, number) for box, _, _, name, _, number in parts],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _told(box: Box, name: str, number: int) -> str:
    """A hovered part in words: symbol, which head, shape, whether it is kept."""
    head = box.head if box.head is not None else number if box.heads > 1 else None
    which = "" if head is None else f" · head {head}"
    part = "" if name == box.step.name else f", of it {symbol_of(name)[0]}"
    rows, columns = box.step.value.shape[-2:]
    kept = "<br>kept by a decoder" if box.kept else ""
    return f"{symbol_of(box.step.name)[0]}{part}{which}<br>{rows} tokens × {columns} numbers{kept}"


def symbol_of(name: str) -> tuple[str, str]:
    """A step's symbol and role; one that is not in the table has its name, without colour."""
    return SYMBOLS.get(name, (name, "muted"))


def words(box: Box) -> str:
    """A box for those who cannot see it."""
    return f"{box.step.name}, {box.shape}" + (", cached" if box.kept else "")


def _label(box: Box, theme: Theme) -> dict[str, Any]:
    symbol, role = symbol_of(box.step.name)
    one = "" if box.head is None else f" · head {box.head}"
    first = ("cached<br>" if box.kept else "") + f"<b>{symbol}</b>{one}"
    return {
        "x": box.x, "y": box.y - 1, "xanchor": "left", "yanchor": "bottom", "align": "left", "showarrow": False,
        "text": f"<span style='color:{getattr(theme, role)}'>{first}</span><br>{box.shape}",
        "font": {"size": 11, "color": theme.muted if not box.kept else theme.ink}, "borderpad": 0,
    }  # fmt: skip


def _beside(source: Box, box: Box) -> bool:
    return abs(source.y - box.y) < 1


def _crosses(source: Box, box: Box) -> bool:
    """Whether a straight arrow would run through the boxes between; then it goes down first."""
    return box.step.name == "z" and source.step.name == "c_kv"


def _ends(source: Box, box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where an arrow starts and where it points to."""
    if _beside(source, box):
        level = source.y + source.height / 2
        return (source.right + 2, level), (box.x - 2, level)
    if _crosses(source, box):
        level = box.y + box.height / 2
        return (source.x + 0.9 * source.width, level), (box.right + 2, level)
    x = source.middle if box.x <= source.middle <= box.right else box.middle
    edge = min(8.0, source.width / 2)
    start = min(max(x, source.x + edge), source.right - edge)
    return (start, source.bottom + 1), (x, box.y - _LABEL - (_LINE if box.kept else 0))


def _arrow(source: Box, box: Box, theme: Theme) -> dict[str, Any]:
    (x0, y0), (x1, y1) = _ends(source, box)
    return {
        "x": x1, "y": y1, "ax": x0, "ay": y0, "xref": "x", "yref": "y", "axref": "x", "ayref": "y", "text": "",
        "showarrow": True, "arrowhead": 2, "arrowsize": 0.9, "arrowwidth": 1.3, "arrowcolor": theme.muted,
    }  # fmt: skip


def _bend(source: Box, box: Box, theme: Theme) -> list[dict[str, Any]]:
    """The way down of an arrow that goes round."""
    if _beside(source, box) or not _crosses(source, box):
        return []
    (x, level), _ = _ends(source, box)
    return [_line(x, source.bottom + 1, x, level, theme.muted, 1.3)]


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, width: float) -> dict[str, Any]:
    line = {"color": colour, "width": width}
    return {"type": "line", "x0": x0, "y0": y0, "x1": x1, "y1": y1, "line": line, "layer": "below"}


def _scale(found: Sequence[Box], bottom: float, theme: Theme) -> list[dict[str, Any]]:
    """A bar as wide as so many numbers are drawn."""
    y = bottom + FOOT - 10
    ends = [_line(x, y - 4, x, y + 4, theme.ink, 1.5) for x in (0, _ACROSS)]
    return [_line(0, y, _ACROSS, y, theme.ink, 1.5), *ends]


def _scale_words(found: Sequence[Box], bottom: float, theme: Theme) -> list[dict[str, Any]]:
    tokens = found[0].step.value.shape[-2]
    text = f"{_ACROSS} numbers of a token across; {tokens} tokens down"
    return [
        {"x": _ACROSS + 12, "y": bottom + FOOT - 10, "xanchor": "left", "yanchor": "middle", "showarrow": False,
         "text": text, "font": {"size": 11, "color": theme.muted}}
    ]  # fmt: skip


def _rgba(colour: str, alpha: float) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"
