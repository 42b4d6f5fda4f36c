"""Positions: how a model knows where a token stands, one encoding a section; only the open one computes."""

from __future__ import annotations

from headlight.viz.pages.positions import alibi as positions_alibi
from headlight.viz.pages.positions import learned as positions_learned
from headlight.viz.pages.positions import longer as positions_longer
from headlight.viz.pages.positions import mla as positions_mla
from headlight.viz.pages.positions import pairs as positions_pairs
from headlight.viz.pages.positions import rope as positions_rope
from headlight.viz.pages.positions import sinusoidal as positions_sinusoidal
from headlight.viz.pages.positions import word_order as positions_order
from headlight.viz.pages.positions.choices import SECTIONS, state
from headlight.viz.ui.sections import Sections

_SECTIONS = Sections(
    "positions",
    "<h1 class='headlight'>Positions <small>how attention knows where a token stands</small></h1>",
    "Encoding",
    SECTIONS,
    {
        "sinusoidal": positions_sinusoidal.draw, "rope": positions_rope.draw, "pairs": positions_pairs.draw,
        "longer": positions_longer.draw, "learned": positions_learned.draw, "alibi": positions_alibi.draw,
        "mla": positions_mla.draw, "order": positions_order.draw,
    },
    state,
)  # fmt: skip


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    _SECTIONS.page()
