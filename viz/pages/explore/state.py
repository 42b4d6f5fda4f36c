"""Explore's choices in the session and in the link."""

from __future__ import annotations

from headlight.viz.pages.explore.choices import Choices, from_link, to_link
from headlight.viz.ui.state import Address

explore: Address[Choices] = Address("explore", from_link, to_link)
