"""One matrix of a layer's derivation as a heatmap: a row a token; dimensions, or tokens, across."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from headlight.core.types import Step
from headlight.viz.text import label_room, labels, shorten_label
from headlight.viz.theme import LIGHT, Theme

MAX_LABELS = 48  # more do not fit beside the map; hovering still names every token
_MAPS = ("weights",)  # what is between 0 and 1 and has the ramp of weights


def tensor_map(
    step: Step, head: int, pieces: Sequence[str], title: str, *, mask: np.ndarray | None = None, theme: Theme = LIGHT
) -> go.Figure:
    """A step's matrix of one head, or the one that all heads share; the first token on top.

    pieces: of the tokens, in plain text; title: Plotly's text. Numbers of both signs have diverging colours up to the
    largest one; weights the ramp from 0 to 1. mask (rows, columns): False where nothing may be seen, which is blank, as
    minus infinity is.
    """
    values = step.of_head(head).float().cpu().numpy()
    values = np.where(np.isfinite(values), values, np.float32("nan"))
    if mask is not None:
        values = np.where(mask, values, np.float32("nan"))
    names = labels(tuple(pieces))
    across = step.axes[-1] == "kv_len"
    limit = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    colours = (
        {"zmin": 0, "zmax": 1, "colorscale": theme.colorscale}
        if step.name in _MAPS
        else {"zmin": -limit, "zmax": limit, "colorscale": theme.diverging_scale}
    )
    where = "%{y} looks at %{x}" if across else "%{y}, dimension %{x}"
    heat = go.Heatmap(
        z=values, hovertemplate=where + ": %{z:.4f}<extra></extra>", hoverongaps=False,
        colorbar={"thickness": 9, "outlinewidth": 0, "len": 1, "nticks": 5, "tickfont": {"size": 11}}, **colours,
    )  # fmt: skip
    return go.Figure(heat, _layout(values.shape, names, across, title, theme))


def _layout(shape: tuple[int, ...], names: list[str], across: bool, title: str, theme: Theme) -> go.Layout:
    rows, columns = shape
    room = label_room([shorten_label(name) for name in names], 11) + 14
    below = room if across else 20
    plain = {"showgrid": False, "ticks": "", "automargin": False, "tickfont": {"size": 11}}
    return theme.layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 4}, "y": 1,
               "yanchor": "top"},
        xaxis=plain | {"range": [-0.5, columns - 0.5], "title": {"text": "key, looked at" if across else "dimension",
                       "standoff": 4}} | (_ticks(names) | {"tickangle": -60} if across else {}),
        yaxis=plain | {"range": [rows - 0.5, -0.5]} | _ticks(names),
        margin={"l": room, "r": 8, "t": 30, "b": below + 26}, hovermode="closest",
        height=56 + below + int(np.clip(18 * rows, 120, 460)),
        plot_bgcolor=theme.faint if across else "rgba(0,0,0,0)",
    )  # fmt: skip


def _ticks(names: list[str]) -> dict[str, object]:
    # Hovering reads tick labels, so all are there; beside a long map they would not fit and are made invisible.
    many = len(names) > MAX_LABELS
    shown = {"tickvals": np.arange(len(names)), "ticktext": [shorten_label(n) for n in names] if not many else names}
    return shown | ({"showticklabels": False} if many else {})
