"""What all tests share: no network, shapes checked at every call of `core`, and the two trained models."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

from jaxtyping import install_import_hook

install_import_hook("headlight.core", "beartype.beartype")  # before anything imports core

import pytest
import torch
from headlight.core.model import Model
from hypothesis import settings

from headlight import load_model
from tests.visiting import address, browser, open_page  # one of each, whichever tests ask for them

__all__ = ["address", "browser", "open_page"]

# The same examples every time, however slow the machine; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Several workers share the cores, torch's threads included.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
torch.set_num_threads(max(1, torch.get_num_threads() // WORKERS))

# What starts a server, a browser or other processes of its own: each on one worker, and first, since they take longest.
TOGETHER = ("browser", "package", "compute", "faults")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups for pytest-xdist: one worker for each of TOGETHER, and for every other file, whose fixtures are made once."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: (*TOGETHER, _group(item)).index(_group(item)))


def _group(item: pytest.Item) -> str:
    if item.get_closest_marker("browser"):
        return "browser"
    return next((part for part in item.path.parts if part in TOGETHER), str(item.path))


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
