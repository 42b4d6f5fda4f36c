"""The shift test: the largest change of a score when all positions move, with the keys of MLA put together in both orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headlight.core.attention.mla import mla_of
from headlight.core.lessons.shift import (
    LayerInput,
    Order,
    after_up_projection,
    before_up_projection,
    changes,
    mixing,
)
from headlight.core.model import Model
from headlight.viz.figures import curves
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture

_RIGHT, _WRONG = (
    "concatenated after the up-projection (the paper, MLA)",
    "concatenated before it (a common misconception)",
)
_SHIFTS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True)
class Shown:
    """One head of an MLA layer, the orders of putting its keys together (name -> order), all positions `shift` later."""

    layer: LayerInput
    orders: Mapping[str, Order]
    head: int
    shift: int
    pieces: tuple[str, ...]


def shown(layer: LayerInput, model: Model, head: int, shift: int, pieces: tuple[str, ...]) -> Shown:
    """The layer with the paper's order of putting keys together and the often told one."""
    wrong = before_up_projection(mixing(mla_of(model.attention, model.title), layer.params))
    return Shown(layer, {_RIGHT: after_up_projection, _WRONG: wrong}, head, shift, pieces)


def by_shift(shown: Shown, look: Theme) -> None:
    """The largest change of a score against the shift, in both orders."""
    tested = {name: changes(shown.layer, order, _SHIFTS) for name, order in shown.orders.items()}
    titles = {_RIGHT: "right order", _WRONG: "wrong order"}
    lines = {titles[name]: each[:, shown.head].numpy() for name, each in tested.items()}
    x = tested[_RIGHT].new_tensor(_SHIFTS).numpy()
    figure = curves(
        x, lines, "Largest change of a score", axes=("all positions later by", "change (log)"), log=(True, True),
        colours=("value", "key"), markers=True, theme=look,
    )  # fmt: skip
    right, wrong = (float(each[6, shown.head]) for each in tested.values())
    picture(
        figure, "shift", f"By 100 positions: right order {right:.1g}, wrong order {wrong:.3g}.",
        f"By 100 positions: {right:.1g} in the right order, which is rounding, {wrong:.3g} in the wrong one.",
    )  # fmt: skip
