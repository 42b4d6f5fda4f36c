"""KV cache: what remembering costs, in published models, in yours, measured here, and in decoding."""

from __future__ import annotations

from viz.cache_view import SECTIONS
from viz.pages import cache_claim, cache_decode, cache_measured, cache_models, cache_own
from viz.pages.cache_state import address, fallback
from viz.pages.sections import Sections

_SECTIONS = Sections(
    "cache",
    "<h1 class='headlight'>KV cache <small>what it costs to remember</small></h1>",
    "Section",
    SECTIONS,
    {
        "models": cache_models.draw, "own": cache_own.draw, "measured": cache_measured.draw, "claim": cache_claim.draw,
        "decode": cache_decode.draw,
    },
    address,
    fallback,
)  # fmt: skip


def page() -> None:
    """The whole page; what Headlight refuses on purpose becomes one line."""
    _SECTIONS.page()
