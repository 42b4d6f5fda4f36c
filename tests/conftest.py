"""What all tests share: no network, shapes checked at every call of `core`, and the two trained models."""

from __future__ import annotations

import functools
import os
from typing import Any

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

from jaxtyping import install_import_hook

install_import_hook("headlight.core", "beartype.beartype")  # before anything imports core

import pytest
import torch
from hypothesis import settings
from streamlit.components.v2 import manifest_scanner
from xdist.scheduler import LoadScopeScheduling

from headlight import load_model
from headlight.core.model import Model
from tests.visiting import address, chrome, open_page  # one of each, whichever tests ask for them

__all__ = ["address", "chrome", "open_page"]

# The same examples every time, however slow the machine; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Several workers share the cores, torch's threads included.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
torch.set_num_threads(max(1, torch.get_num_threads() // WORKERS))

# What starts a server, a browser or other processes of its own: each on one worker, and first, since they take longest.
TOGETHER = ("browser of pages", "browser", "package", "compute", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first."""
    items.sort(key=lambda item: (*TOGETHER, group(item.nodeid)).index(group(item.nodeid)))


def group(nodeid: str) -> str:
    """What runs on one worker: each of TOGETHER, and every other file, so that its fixtures are made once."""
    file = nodeid.partition("::")[0]
    if "browser.py" in file:
        return "browser of pages" if "/pages/" in file else "browser"
    return next((name for name in TOGETHER if f"/{name}/" in file), file)


class Grouped(LoadScopeScheduling):
    """pytest-xdist's scheduler of scopes, with `group` as the scope (its own groups are lost with pytest 9.2's node ids)."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Grouped:
    """For pytest-xdist."""
    return Grouped(config, log)


# AppTest looks through all installed packages for components before each run, which takes longer than most pages.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


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
