"""Positions: how a model knows where a token stands, one encoding a section; only the open one computes."""

from __future__ import annotations

from viz.pages import (
    positions_alibi,
    positions_learned,
    positions_longer,
    positions_mla,
    positions_order,
    positions_pairs,
    positions_rope,
    positions_sinusoidal,
)
from viz.pages.positions_state import address, fallback
from viz.pages.sections import Sections
from viz.positions_view import SECTIONS

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
    address,
    fallback,
)  # fmt: skip


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    _SECTIONS.page()
