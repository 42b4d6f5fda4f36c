"""The KV-cache page's choices in the session and in the link, and its controls, which are bound to them."""

from __future__ import annotations

from headlight.core.examples import examples
from headlight.viz.pages.cache.choices import CacheChoices, from_link, to_link
from headlight.viz.ui.state import Address, carried_text
from headlight.viz.ui.widgets import Controls

address: Address[CacheChoices] = Address("cache", from_link, to_link)
controls = Controls("cache", address)


def fallback() -> CacheChoices:
    """Where the page begins: the sentence of the page before."""
    return CacheChoices(text=carried_text(examples()[0].text))
