"""Explore's two switches for the siblings: live, and part of the link."""

from __future__ import annotations

import pytest

from headlight.core.registry import SIBLINGS
from tests.viz.pages.explore.test_page import page


def test_the_siblings_open_with_what_the_model_before_was() -> None:
    app = page(model="smollm2")
    app.segmented_control(key="model").set_value("siblings").run()
    assert not app.exception
    assert app.query_params["model"] == "gqa-rope"


@pytest.mark.parametrize("name", [name for name, row in SIBLINGS.items() if row.installed])
def test_every_sibling_opens_from_its_link_with_its_switches_set(name: str) -> None:
    app = page(model=name)
    assert not app.exception
    assert f"{app.segmented_control(key='attention').value}-{app.segmented_control(key='position').value}" == name


def test_a_switch_keeps_layer_head_and_token_and_says_what_changed() -> None:
    app = page(model="mha-rope", layer="2", head="1", query="5", key="3")
    app.segmented_control(key="attention").set_value("gqa").run()
    assert not app.exception
    assert {k: app.query_params[k] for k in ("model", "layer", "head", "query", "key")} == {
        "model": "gqa-rope", "layer": "2", "head": "1", "query": "5", "key": "3",
    }  # fmt: skip
    line = next(c.value for c in app.caption if "values per token per layer" in c.value)
    assert "GQA · RoPE keeps 128 values" in line and "before, MHA · RoPE: 384 values" in line
