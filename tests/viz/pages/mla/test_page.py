"""Inside MLA without a browser: its sections, its controls, its links, its numbers, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import partial

import pytest
import torch
from streamlit.testing.v1 import AppTest

from headlight import load_model, run
from headlight.core.lessons import absorbing, latent
from headlight.core.registry import MODELS, SIBLINGS, ModelRow
from headlight.viz.pages.mla.choices import SECTIONS, InsideMLA
from tests.apptest import fine, opened

TEXT = "The old dog saw the young cat."
LATENTS = [name for name, row in SIBLINGS.items() if row.attention == "mla"]


page = partial(opened, "mla")


def words(app: AppTest) -> str:
    return " ".join(each.value for each in (*app.markdown, *app.caption))


@pytest.mark.parametrize("name", LATENTS)
@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_opens_from_its_link_for_every_sibling(section: str, name: str) -> None:
    app = fine(page(section=section, model=name, text=TEXT, layer="2", head="3"))
    assert app.segmented_control(key="mla_section").value == section
    assert not app.info and app.query_params["section"] == section


@pytest.mark.parametrize("beside", [name for name, row in MODELS.items() if name != "mla-rope" and row.installed])
def test_every_other_model_is_drawn_beside_with_what_it_keeps(beside: str) -> None:
    app = fine(page(text=TEXT, beside=beside, side="beside", tensor="v"))
    kept = load_model(beside, "cpu").attention.cached_elements_per_token()  # type: ignore[union-attr]
    assert f"**{kept} numbers**" in words(app) and "**144 numbers**" in words(app)
    assert app.selectbox(key="mla_tensor").value == "v"


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", ["-7", "999999999", "x<b>[y](z)", ""])
def test_no_link_breaks_a_section(section: str, value: str) -> None:
    names = [field.name for field in fields(InsideMLA) if field.name not in ("section", "text")]
    app = page(section=section, **dict.fromkeys(names, value))
    assert not app.exception and not app.error
    assert app.info, "a link with nonsense in it is told so"


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("text", ["", " ", "x" * 30_000, "a " * 3000, "<b>[l](http://x.y)</b> $x$ 🦊\x00"])
def test_no_text_breaks_a_section(section: str, text: str) -> None:
    app = page(section=section, text=text)
    assert not app.exception and not app.error
    assert "http://x.y)" not in words(app), "a visitor's text never becomes Markdown"


def test_one_word_is_enough() -> None:
    for section in SECTIONS:
        fine(page(section=section, text="dog"))


def test_a_text_that_the_model_beside_cannot_read_leaves_the_page_standing() -> None:
    app = page(text="word " * 300, model="mla-rope")
    assert "reads 256 at most" in app.warning[0].value.replace("\\", "") and not app.exception
    app = page(text="dog", beside="nobody")
    assert "model beside is not on this machine" in app.info[0].value.replace("\\", "")


def test_the_numbers_beside_the_heatmap_are_the_tensors() -> None:
    app = fine(page(text=TEXT, layer="2", head="3", tensor="k_nope"))
    values = run(load_model("mla-rope", "cpu"), TEXT).layers[2].step("k_nope").value[3]
    assert f"from {float(values.min()):.3g} to {float(values.max()):.3g}" in words(app)
    assert f"6 `n_heads` × {len(values)} `kv_len` × 32 `qk_nope_head_dim`" in words(app)


def test_controls_and_the_link_agree() -> None:
    app = fine(page(text=TEXT))
    app.slider(key="mla_layer").set_value(3).run()
    app.slider(key="mla_head").set_value(5).run()
    app.selectbox(key="mla_tensor").set_value("weights").run()
    app.selectbox(key="mla_beside").set_value("gqa-rope").run()
    app.segmented_control(key="mla_side").set_value("beside").run()
    fine(app)
    assert {name: app.query_params[name] for name in ("layer", "head", "tensor", "beside", "side")} == {
        "layer": "3", "head": "5", "tensor": "weights", "beside": "gqa-rope", "side": "beside",
    }  # fmt: skip


def test_a_step_that_the_other_model_has_not_gives_way_to_its_keys() -> None:
    app = fine(page(text=TEXT, tensor="c_kv"))
    app.segmented_control(key="mla_side").set_value("beside").run()
    assert app.selectbox(key="mla_tensor").value == "k" and not app.info
    app = page(text=TEXT, tensor="k_rope", side="beside")
    assert "no step of that name" in app.info[0].value and app.selectbox(key="mla_tensor").value == "k"


def test_a_layer_that_does_not_exist_is_noted() -> None:
    app = page(text=TEXT, layer="77", head="55")
    assert "Layer 77 does not exist" in app.info[0].value.replace("\\", "")
    assert (app.slider(key="mla_layer").value, app.slider(key="mla_head").value) == (3, 5)


def test_what_is_told_wrongly_is_settled_by_this_layers_numbers() -> None:
    app = fine(page(text=TEXT, layer="1"))
    trace = run(load_model("mla-rope", "cpu"), TEXT).layers[1]
    own = float((trace.k[..., :32] - trace.k[:1, :, :32]).abs().max())
    assert "largest difference 0." in words(app) and f"by up to {own:.2g}" in words(app)
    assert f"= {48**-0.5:.4f}" in words(app)


def test_the_proof_on_screen_is_computed_from_both_forms() -> None:
    app = fine(page(section="absorbed", text=TEXT, layer="2"))
    model = load_model("mla-rope", "cpu")
    layer = absorbing.layer_of(model, run(model, TEXT), 2)
    table = app.table[0].value
    single, double = absorbing.both_precisions(layer)
    assert list(table["largest difference, float32"]) == [f"{d.largest:.2g}" for d in single.values()]
    assert list(table["largest difference, float64"]) == [f"{d.largest:.2g}" for d in double.values()]
    assert max(map(float, table["largest difference, float64"])) < 1e-12


def test_costs_follow_context_and_sizes_and_only_this_sibling_is_measured() -> None:
    app = fine(page(section="absorbed", text=TEXT, context="64"))
    assert "reads 3.33 times less" in words(app) and "alternating rounds" in words(app)
    fine(app.button(key="mla_again").click().run())
    app.selectbox(key="mla_sizes").set_value("v3").run()
    fine(app)
    assert "reads 71.1 times less" in words(app) and "alternating rounds" not in words(app)
    assert app.button(key="mla_again").disabled
    fine(app.select_slider(key="mla_context").set_value(256).run())
    assert app.query_params["context"] == "256"


def test_a_measurement_is_kept_until_somebody_measures_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from headlight.viz import store

    calls = []
    made = lambda: calls.append(1) or {"a": lambda: torch.zeros(1)}  # noqa: E731
    one = store.measured(("test", 1), made)
    assert store.measured(("test", 1), made) is one and len(calls) == 1
    assert store.measured(("test", 1), made, again=True) is not one and len(calls) == 2
    for number in range(2 * store.MEASUREMENTS):
        store.measured(("test", number), made)
    assert len(store._measurements()[0]) <= store.MEASUREMENTS


def test_shares_on_screen_are_those_of_the_components() -> None:
    app = fine(page(section="latent", text=TEXT, layer="1", component="2"))
    model = load_model("mla-rope", "cpu")
    sample = latent.sample(model)
    found = latent.components(sample.latents[1], model.attention, model.layers[1])
    shares = found.shares()
    told = [f"{100 * float(shares[name][2]):.3g}%" for name in ("latent", "keys", "values")]
    assert re.search(f"{told[0]} of the latent.*{told[1]} of the keys.*{told[2]} of the values", words(app))
    for name in ("latent", "keys", "values"):
        assert f"{name}: 90% in the first {latent.needed(shares[name], 0.9)}," in words(app)
    highest = app.dataframe[0].value
    words_only = [i for i, special in enumerate(model.tokens(TEXT).special) if not special]
    mine = found.activations(run(model, TEXT).layers[1].cache.tensors["c_kv"])[words_only, 2]
    everyone = float(torch.cat([found.activations(sample.latents[1])[:, 2], mine]).max())
    assert float(highest["activation"][0]) == pytest.approx(everyone, abs=0.006)


def test_shares_of_one_head_alone_differ() -> None:
    app = fine(page(section="latent", text=TEXT))
    before = words(app)
    app.toggle(key="mla_alone").set_value(True).run()
    assert fine(app).query_params["alone"] == "1" and words(app) != before


def test_a_component_that_does_not_exist_is_noted() -> None:
    app = page(section="latent", text=TEXT, component="128")
    assert "no component 128" in app.info[0].value and app.slider(key="mla_component").value == 127


def test_without_siblings_the_page_says_how_to_make_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelRow, "installed", False)
    for section in SECTIONS:
        app = page(section=section)
        assert not app.exception and "training.run" in app.warning[0].value.replace("\\", "")


@pytest.mark.parametrize("section", SECTIONS)
def test_the_notebook_code_of_each_section_runs(section: str) -> None:
    app = page(section=section, text=TEXT, context="64")
    key = {"way": "mla_take_tensor", "absorbed": "mla_take_line", "latent": "mla_take_latent"}[section]
    app.session_state[key] = True
    fine(app.run())
    names: dict[str, object] = {}
    exec(app.code[0].value, names)  # the page's own code
    assert "model" in names
