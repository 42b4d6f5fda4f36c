"""Explore's switches for the pretrained models: Attention is live, Position says what it stays with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from headlight.core.checkpoints import variant
from headlight.core.registry import MODELS, base_of
from headlight.viz import store
from tests.viz.pages.explore.test_page import page

HERE = [name for name, row in MODELS.items() if row.base is not None and row.installed]


def line(app: AppTest) -> str:
    return next(each.value for each in app.caption if "values per token per layer" in each.value)


@pytest.mark.parametrize(("model", "attention", "position"), [("minilm", "mha", "learned"), ("smollm2", "gqa", "rope")])
def test_attention_is_live_and_position_stays_what_the_model_was_trained_with(
    model: str, attention: str, position: str
) -> None:
    app = page(model=model)
    kinds, places = app.segmented_control(key="attention"), app.segmented_control(key="position")
    there = [str(row.attention) for row in MODELS.values() if row.family == model and row.installed]
    assert (kinds.value, kinds.disabled) == (attention, len(there) < 2) and len(kinds.options) == len(there)
    assert (places.value, places.disabled, len(places.options)) == (position, True, 1)
    assert "stays with it" in places.help and "as trained" in line(app)


@pytest.mark.parametrize("name", HERE)
def test_one_click_shows_the_same_cell_in_another_attention(name: str) -> None:
    base, attention = base_of(name), str(MODELS[name].attention)
    app = page(model=base, layer="3", head="1", query="5", key="3")
    app.segmented_control(key="attention").set_value(attention).run()
    assert not app.exception and not app.warning
    asked = {"model": name, "layer": "3", "head": "1", "query": "5", "key": "3"}
    assert {key: app.query_params[key] for key in asked} == asked
    told = line(app)
    assert told.startswith(f"{MODELS[name].title} keeps") and f"before, {MODELS[base].title}:" in told
    assert ("converted and healed" if MODELS[name].folder else "exact") in told
    app.segmented_control(key="model").set_value("siblings").run()
    assert not app.exception and "before" not in line(app)


@pytest.mark.parametrize("name", HERE)
def test_a_link_opens_a_variant_with_its_switches_set(name: str) -> None:
    app = page(model=name)
    assert not app.exception and app.query_params["model"] == name
    assert app.segmented_control(key="attention").value == MODELS[name].attention
    assert app.segmented_control(key="model").value == base_of(name)
    assert app.query_params["head"] == page(model=base_of(name)).query_params["head"]


def test_a_variant_that_is_not_here_gives_way_to_its_model_with_a_note(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for table in (MODELS, store.engine().rows):
        monkeypatch.setitem(table, "smollm2-mla", replace(MODELS["smollm2-mla"], folder=tmp_path))  # type: ignore[arg-type]
    app = page(model="smollm2-mla", layer="7", head="2")
    assert app.info[0].value.startswith("The link's model is not on this machine; showing SmolLM2.")
    assert (app.query_params["model"], app.query_params["layer"]) == ("smollm2", "7")
    switch = app.segmented_control(key="attention")
    assert "MLA" not in switch.options and "SmolLM2 · MLA" in switch.help.replace("\\", "")


def test_a_damaged_variant_gives_way_to_its_model_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "minilm-latent"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"damaged")
    (folder / "config.json").write_bytes((variant.FOLDER / "minilm-latent" / "config.json").read_bytes())
    monkeypatch.setattr(variant, "FOLDER", tmp_path)
    monkeypatch.setattr(store.engine(), "_models", {})
    app = page(model="minilm-latent")
    told = app.warning[0].value.replace("\\", "")
    assert told.startswith("MiniLM · Latent cannot be shown: model.safetensors is damaged or unreadable")
    assert not app.exception and app.query_params["model"] == "minilm"
