"""A Plotly figure that is updated in place, linked with the other parts of the page, its cells pickable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import plotly.graph_objects as go

from headlight.viz.components.packing import pack
from headlight.viz.components.parts import on_pick_change, picked_cell, register
from headlight.viz.figures.drawing import Drawing

_mount = register("chart", isolate_styles=False)


@dataclass(frozen=True)
class Area:
    """A part of a figure that can be picked: from x0, y0 to x1, y1 on its axes; columns: how many equal parts, side by
    side, are told apart; words: its name for screen readers."""

    x0: float
    y0: float
    x1: float
    y1: float
    columns: int
    words: str
    column: int = 0


def chart(
    figure: go.Figure | Drawing,
    *,
    key_name: str,
    alt: str,
    file_name: str = "",
    shape: tuple[int, int] | None = None,
    picked: tuple[int, int] | None = None,
    token_map: bool = False,
    areas: Sequence[Area] = (),
    on_pick: Callable[[tuple[int, int]], object] | None = None,
) -> tuple[int, int] | None:
    """Draw `figure` at its layout's height and the column's width; a change of the figure changes the drawing in place.

    key_name: Streamlit's key; keep it the same over reruns. alt: the picture in words, for screen readers.
    file_name: without ending; given, a toolbar offers PNG, SVG, zoom and pan.
    shape: (rows, columns) of a heatmap on numeric axes whose cells can be picked. picked: the (row, column) to mark.
    token_map: rows and columns are tokens, so that hovering is shared with the other parts, a head picked in `head_grid`
        shows its small map until the new figure is there, and a narrow column makes the figure lower, too.
    areas: instead of cells, parts that can be clicked or reached with Tab; picked and on_pick are then (area, column), and
        picked (-1, 0) is none of them.
    on_pick: called before the rerun with the picked (row, column), already checked against `shape`.

    Returns the picked cell during the one rerun that the pick caused, else None.
    """
    if areas:
        shape = len(areas), max(area.columns for area in areas)
    meta = {
        "figure": figure.to_json() if isinstance(figure, Drawing) else figure.to_json(validate=False),
        "height": (figure.height if isinstance(figure, Drawing) else figure.layout.height) or 450,
        "alt": alt,
        "file_name": file_name,
        "shape": None if shape is None else [int(n) for n in shape],
        "token_map": token_map,
        "areas": [asdict(area) for area in areas],
        "picked": None if picked is None else {"query": int(picked[0]), "key": int(picked[1])},
    }

    def read(value: object) -> tuple[int, int] | None:
        return None if shape is None else picked_cell(value, shape)

    result = _mount(key=key_name, data=pack(meta), on_pick_change=on_pick_change(key_name, read, on_pick))
    return read(result.get("pick"))
