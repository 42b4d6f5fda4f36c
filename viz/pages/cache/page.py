"""KV cache: what remembering costs, in published models, in yours, measured here, and in decoding."""

from __future__ import annotations

from headlight.viz.pages.cache import claim as cache_claim
from headlight.viz.pages.cache import decode as cache_decode
from headlight.viz.pages.cache import measured as cache_measured
from headlight.viz.pages.cache import own_model as cache_own
from headlight.viz.pages.cache import published as cache_models
from headlight.viz.pages.cache.choices import SECTIONS, state
from headlight.viz.ui.sections import Sections

_SECTIONS = Sections(
    "cache",
    "<h1 class='headlight'>KV cache <small>what it costs to remember</small></h1>",
    "Section",
    SECTIONS,
    {
        "models": cache_models.draw, "own": cache_own.draw, "measured": cache_measured.draw, "claim": cache_claim.draw,
        "decode": cache_decode.draw,
    },
    state,
)  # fmt: skip


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    _SECTIONS.page()
