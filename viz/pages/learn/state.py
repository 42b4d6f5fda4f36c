"""The Learn page's choices in the session and in the link, and its controls, which are bound to them."""

from __future__ import annotations

from headlight.viz.pages.learn.choices import Learning, from_link, to_link
from headlight.viz.ui.state import Address
from headlight.viz.ui.widgets import Controls

address: Address[Learning] = Address("learn", from_link, to_link)
controls = Controls("learn", address)
SENTENCE = "The animal didn't cross the street, because it was too {}."
