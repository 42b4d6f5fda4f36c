"""What all tests share: no network, shapes checked at every call of `core`, and the two trained models."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

from jaxtyping import install_import_hook

install_import_hook("core", "beartype.beartype")  # before anything imports core

import pytest

from core import load_model
from core.model import Model

pytest.register_assert_rewrite("tests.core.variants")


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
