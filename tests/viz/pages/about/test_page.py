"""About: what runs here as it is, the limits that hold as they are set, and models as they are offered."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from streamlit.testing.v1 import AppTest

from headlight.core.serving.version import version
from headlight.viz import store
from headlight.viz.text import markdown_text


@pytest.fixture
def anew():
    """An engine of the test's own settings, gone afterwards."""
    store.engine.clear()
    yield
    store.engine.clear()


def alone() -> None:
    from headlight.viz.pages.about import page as about

    about.page()


def opened() -> dict[str, str]:
    page = AppTest.from_function(alone, default_timeout=60).run()
    assert not page.exception and not page.error
    return {
        str(name): str(told).replace("\\", "")
        for table in page.table
        for name, told in table.value.itertuples(index=False)
    }


def test_it_says_what_runs_here(anew):
    told = opened()
    assert told["Headlight"].startswith(version()) and torch.__version__.partition("+")[0] in told["PyTorch"]
    assert "Apache" in told["MiniLM"] and "SmolLM2" in told and "12 siblings" in told


def test_limits_and_models_are_those_that_are_set(anew, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_MAX_TOKENS", "97")
    monkeypatch.setenv("HEADLIGHT_REQUESTS_SECONDS", "11")
    monkeypatch.setenv("HEADLIGHT_SESSIONS_OPEN", "13")
    monkeypatch.setenv("HEADLIGHT_MODELS_OFFERED", "minilm,mla-rope")
    told = opened()
    assert told["A sentence"].startswith("97 tokens") and "11 seconds" in told["A request"]
    assert told["Pages open at once"] == "13"
    assert "1 siblings" in told and "SmolLM2" not in told


def test_a_name_that_a_visitor_gave_is_no_markup(anew, monkeypatch):
    odd = replace(store.engine().rows["minilm"], title="![x](https://outside.example/a.png)")
    monkeypatch.setitem(store.engine().rows, "odd", odd)
    (name,) = [cell for cell in opened() if "outside" in cell]
    assert name == markdown_text(odd.title) != odd.title
