"""Inside MLA: the way of the data through multi-head latent attention, its absorbed form, and what is in the latent."""

from __future__ import annotations

from headlight.viz.pages.mla import absorbed as mla_absorbed
from headlight.viz.pages.mla import data_flow as mla_way
from headlight.viz.pages.mla import latent as mla_latent
from headlight.viz.pages.mla.choices import SECTIONS, state
from headlight.viz.ui.sections import Sections

_SECTIONS = Sections(
    "mla",
    "<h1 class='headlight'>Inside MLA <small>multi-head latent attention, number by number</small></h1>",
    "Section",
    SECTIONS,
    {"way": mla_way.draw, "absorbed": mla_absorbed.draw, "latent": mla_latent.draw},
    state,
)


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    _SECTIONS.page()
