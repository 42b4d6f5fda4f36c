"""The KV-cache page's choices in the session and in the link, and its controls, which are bound to them."""

from __future__ import annotations

from core.examples import examples
from viz.address import Address, carried_text
from viz.cache_view import CacheChoices, from_link, to_link
from viz.pages.controls import Controls

address: Address[CacheChoices] = Address("cache", from_link, to_link)
controls = Controls("cache", address)


def fallback() -> CacheChoices:
    """Where the page begins: the sentence of the page before."""
    return CacheChoices(text=carried_text(examples()[0].text))
