"""What all tests share: no network, shapes checked at every call of `core`, and the two trained models."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

from jaxtyping import install_import_hook

install_import_hook("headlight.core", "beartype.beartype")  # before anything imports core

import pytest
from headlight.core.model import Model
from hypothesis import settings

from headlight import load_model
from tests.visiting import address, browser, open_page  # one of each, whichever tests ask for them

__all__ = ["address", "browser", "open_page"]

# The same examples every time, however slow the machine; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def minilm() -> Model:
    """MiniLM in the precision of the app."""
    return load_model("minilm", "cpu")


@pytest.fixture(scope="session")
def smollm2() -> Model:
    """SmolLM2 in the precision of the app."""
    return load_model("smollm2", "cpu")


@pytest.fixture(scope="session")
def sentence() -> str:
    """The sentence that Headlight opens with."""
    return "The animal didn't cross the street, because it was too tired."
