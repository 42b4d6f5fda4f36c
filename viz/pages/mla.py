"""Inside MLA: the way of the data through multi-head latent attention, its absorbed form, and what is in the latent."""

from __future__ import annotations

from viz.mla_view import SECTIONS
from viz.pages import mla_absorbed, mla_latent, mla_way
from viz.pages.mla_state import address, fallback
from viz.pages.sections import Sections

_SECTIONS = Sections(
    "mla",
    "<h1 class='headlight'>Inside MLA <small>multi-head latent attention, number by number</small></h1>",
    "Section",
    SECTIONS,
    {"way": mla_way.draw, "absorbed": mla_absorbed.draw, "latent": mla_latent.draw},
    address,
    fallback,
)


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    _SECTIONS.page()
