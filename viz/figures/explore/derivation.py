"""How one weight came to be: bars for the query, the key, their product, the row of scores and weights, the values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headlight.core.types import Run, Trace
from headlight.viz.figures.drawing import Drawing
from headlight.viz.text import label_room, labels
from headlight.viz.theme import LIGHT, Theme

if TYPE_CHECKING:
    from torch import Tensor

MAX_NAMES = 48
Panels = tuple[tuple[str, np.ndarray, str | list[str]], ...]


@dataclass(frozen=True)
class Cell:
    """The numbers behind one cell, read from `Trace.steps`: the query's side, the key's side, and what came of them.

    q, k, v: vectors (head_dim,); product: q·k; scale: its factor; bias: what the encoding added; score; weight 0-1;
    scores, weights: the whole row (kv_len,), NaN where masked; log_sum: ln of the sum of exp(score) over the row (and the
    sink, where the head has one); softcap: c of the soft cap c tanh(s / c), None without one; sink: the dropped logit;
    mixed: the head's output for this query (v_head_dim,).
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    product: float
    scale: float
    score: float
    weight: float
    scores: np.ndarray
    weights: np.ndarray
    log_sum: float
    mixed: np.ndarray
    allowed: bool
    softcap: float | None = None
    sink: float | None = None

    @property
    def uncapped(self) -> float:
        """The score before a soft cap (Gemma 2, arXiv 2408.00118)."""
        return self.score if self.softcap is None else self.softcap * float(np.arctanh(self.score / self.softcap))

    @property
    def bias(self) -> float:
        """What the position encoding added to the scaled product (0 without a score bias)."""
        return self.uncapped - self.product * self.scale


def cell(trace: Trace, head: int, query: int, key: int) -> Cell:
    """The numbers of one cell of one head; rows of the steps of the trace, nothing computed anew but the row's sum."""
    steps = {step.name: step.value for step in trace.steps}
    kv_head = trace.kv_head(head)
    mask = trace.mask[query].cpu().numpy()
    scores = np.where(mask, _numbers(steps["scores"][head, query]), np.nan)
    sink = None if trace.sinks is None else float(trace.sinks[head])
    return Cell(
        q=_numbers(steps["q"][head, query]),
        k=_numbers(steps["k"][kv_head, key]),
        v=_numbers(steps["v"][kv_head, key]),
        product=float(steps["products"][head, query, key]),
        scale=trace.scale,
        score=float(steps["scores"][head, query, key]),
        weight=float(steps["weights"][head, query, key]),
        scores=scores,
        weights=np.where(mask, _numbers(steps["weights"][head, query]), np.nan),
        log_sum=float(np.logaddexp.reduce([*scores[mask].astype(np.float64), *([] if sink is None else [sink])])),
        mixed=_numbers(steps["heads"][head, query]),
        allowed=bool(mask[key]),
        softcap=trace.softcap,
        sink=sink,
    )


def score_bars(numbers: Cell, *, theme: Theme = LIGHT) -> Drawing:
    """Query, key and their product, dimension by dimension; the product's bars add up to q·k."""
    panels: Panels = (
        ("q", numbers.q, theme.query),
        ("k", numbers.k, theme.key),
        ("q × k", numbers.q * numbers.k, theme.ink),
    )
    return _panels(panels, "dimension of the head", None, theme)


def row_bars(numbers: Cell, result: Run, key: int, *, theme: Theme = LIGHT) -> Drawing:
    """The query's whole row before and after the softmax, token by token; the picked key in its colour."""
    colours = [theme.key if i == key else theme.query for i in range(len(numbers.scores))]
    panels: Panels = (("score", numbers.scores, colours), ("weight", numbers.weights, colours))
    return _panels(panels, "key, looked at", labels(result.tokens.pieces, 14), theme)


def value_bars(numbers: Cell, *, theme: Theme = LIGHT) -> Drawing:
    """The key's value, its share in the head's output (weight x value), and the output that all keys add up to."""
    panels: Panels = (
        ("v", numbers.v, theme.value),
        ("p × v", numbers.weight * numbers.v, theme.value),
        ("output", numbers.mixed, theme.ink),
    )
    return _panels(panels, "dimension of the head", None, theme)


def _panels(panels: Panels, x_title: str, names: list[str] | None, theme: Theme) -> Drawing:
    bars, axes = [], {}
    for index, (name, values, colour) in enumerate(panels):
        axis = str(index + 1) if index else ""
        top = 1 - index / len(panels)
        axes[f"yaxis{axis}"] = {
            "domain": [top - 0.82 / len(panels), top],
            "title": {"text": name},
            "nticks": 4,
            "automargin": False,
        }
        bars.append(
            {"type": "bar", "x": np.arange(len(values)), "y": np.asarray(values, np.float32), "yaxis": f"y{axis}",
             "marker": {"color": colour, "line": {"width": 0}}, "hovertemplate": "%{x}: %{y:.4f}<extra>" + name + "</extra>"}
        )  # fmt: skip
    room = label_room(names, 12) if names and len(names) <= MAX_NAMES else 16
    x = {"title": {"text": x_title}, "anchor": f"y{len(panels)}", "showgrid": False, "automargin": False} | _ticks(
        names
    )
    margin = {"t": 8, "l": 60, "r": 8, "b": room + 30}
    height = 100 * len(panels) + 38 + room
    return Drawing(bars, theme.layout(xaxis=x, margin=margin, height=height, showlegend=False, **axes))


def _ticks(names: list[str] | None) -> dict[str, object]:
    if names is None:
        return {}
    if len(names) > MAX_NAMES:  # positions instead of words that would not fit
        return {}
    return {"tickvals": np.arange(len(names)), "ticktext": names, "tickangle": -60}


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()
