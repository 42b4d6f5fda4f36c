"""The Surgery page without a browser: every method and model, its links, its exports, and what it refuses."""

from __future__ import annotations

from dataclasses import fields

import pytest
from streamlit.testing.v1 import AppTest

from headlight import run
from headlight.core.analysis.variant_quality import qualities
from headlight.core.cache import KVCache
from headlight.core.model import Model
from headlight.core.surgery import MeanPooling, Repetition, WeightedSVD
from headlight.core.surgery.calibration import inputs, second_moments
from headlight.core.surgery.held_out import calibration
from headlight.core.surgery.methods import METHODS
from headlight.core.surgery.whole import convert_model, distances, layer_of
from headlight.viz.pages.surgery.choices import SurgeryChoices
from tests.apptest import fine, opened

TEXT = "The old dog saw the young cat."


def page(**link: str) -> AppTest:
    return opened("surgery", **{"model": "mha-rope", "text": TEXT} | link)


def told(app: AppTest) -> str:
    return "\n".join(each.value for each in (*app.markdown, *app.caption, *app.text)).replace("\\", "")


@pytest.mark.parametrize("method", [name for name in METHODS if name != "repeat"])
def test_every_method_opens_from_its_link(method: str) -> None:
    app = fine(page(method=method))
    assert app.selectbox(key="surgery_method").value == method
    assert app.query_params["method"] == method
    assert METHODS[method].source in told(app)


@pytest.mark.parametrize("name", ["gqa-rope", "mqa-none", "mha-sinusoidal", "minilm"])
def test_a_model_of_another_kind_is_converted_too(name: str) -> None:
    app = fine(page(model=name, method="weighted"))
    assert "can be absorbed" in told(app) if name != "gqa-rope" else "cannot be absorbed" in told(app)


def test_the_distance_on_screen_is_that_of_the_layer_alone(minilm: Model) -> None:
    app = fine(page(model="minilm", method="mean", heads="4", layer="2", head="7"))
    tokens = minilm.tokens(TEXT)
    new = MeanPooling().convert(layer_of(minilm, 2), 4)
    p = new.attention.project(inputs(minilm, tokens)[2], new.params, minilm.position, KVCache())
    apart = distances(run(minilm, tokens).layers[2].weights, new.attention.rows(p, slice(None)))
    assert f"This head: {float(apart[7]):.3f}" in told(app)
    assert "768 → 256 numbers" in told(app) and "lossy" in told(app)
    assert "Heads 6 to 8 now read the same key and value head" in told(app)


def test_the_distance_with_all_layers_converted_is_that_of_the_converted_model(minilm: Model) -> None:
    app = fine(page(model="minilm", method="weighted", rank="100", layer="4", head="3", whole="1"))
    new = convert_model(minilm, WeightedSVD(), 100, second_moments(minilm, calibration().passages))
    before, after = (run(each, TEXT).layers[4].weights for each in (minilm, new))
    assert f"This head: {float(distances(before, after)[3]):.3f}" in told(app)
    app.segmented_control(key="surgery_whole").set_value(False).run()
    assert "whole" not in app.query_params and "this layer alone is converted" in told(app)


def test_what_is_exact_says_so_and_changes_no_head() -> None:
    for link in (
        {"model": "minilm", "rank": "384"},
        {"model": "mha-rope", "rank": "192"},
        {"model": "gqa-rope", "method": "repeat"},
    ):
        app = fine(page(**link))
        assert "exact]" in told(app) and "lossy" not in told(app)
        assert "This head: 0.000" in told(app)
    assert Repetition().title in app.selectbox(key="surgery_method").options


def test_sliders_change_the_setting_and_the_link() -> None:
    app = page(method="weighted")
    assert app.slider(key="surgery_rank").value == 96
    app.slider(key="surgery_rank").set_value(40).run()
    assert app.query_params["rank"] == "40" and "384 → 40 numbers" in told(fine(app))
    app.selectbox(key="surgery_method").set_value("mean").run()
    app.select_slider(key="surgery_heads").set_value(2).run()
    assert app.query_params["heads"] == "2" and "384 → 128 numbers" in told(fine(app))
    app.selectbox(key="surgery_method").set_value("decoupled").run()
    app.select_slider(key="surgery_rotary").set_value(8).run()
    assert "384 → 88 numbers" in told(fine(app))  # rank 40, and 8 for each of 6 KV heads


def test_another_model_begins_with_numbers_of_its_own() -> None:
    app = page(method="weighted", rank="150", layer="3", head="5")
    app.selectbox(key="surgery_model").set_value("gqa-rope").run()
    assert app.slider(key="surgery_rank").value == 64
    fine(app)


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ({"rank": "0"}, "The rank (0) must be from 1 to 192: [W_K; W_V] has 384 rows and 192 columns"),
        ({"rank": "193"}, "The rank (193) must be from 1 to 192"),
        ({"method": "mean", "heads": "4"},
         "The number of KV heads (4) must be a divisor of the 6 that there are: 1, 2, 3, 6 will do; showing 3."),
        ({"method": "decoupled", "rotary": "32"}, "32 rotary dimensions do not fit: a head has 32"),
        ({"layer": "9"}, "Layer 9 does not exist"), ({"head": "6"}, "Head 6 does not exist"),
        ({"model": "nothing"}, "The link's model is not on this machine"),
        ({"method": "magic"}, "The link's method isn't valid here"),
    ],
)  # fmt: skip
def test_an_impossible_choice_of_a_link_is_told_and_the_nearest_shown(link, says) -> None:
    app = page(**link)
    assert not app.exception and not app.error and not app.warning
    assert says in app.info[0].value.replace("\\", "")


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ({"model": "mqa-rope", "method": "mean"}, "Mean-pooling of KV heads cannot be done to MQA · RoPE: it has one KV head"),
        ({"model": "mha-rope", "method": "repeat"}, "each of its query heads has a KV head of its own already"),
        ({"model": "mla-rope"}, "MLA · RoPE keeps a latent and a rotated key already"),
        ({"model": "mha-none", "method": "decoupled"}, "its queries and keys are not rotated"),
        ({"text": ""}, ""), ({"text": "word " * 2000}, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_sentence_and_the_controls_stay(link, says) -> None:
    app = page(**link)
    assert not app.exception and not app.error
    assert len(app.warning) == 1 and says in app.warning[0].value.replace("\\", "")
    assert app.selectbox(key="surgery_model").value and "Converted, healed" in told(app)


@pytest.mark.parametrize("value", ["-7", "999999999", "x<b>[y](z)", ""])
def test_no_link_breaks_the_page(value: str) -> None:
    names = [field.name for field in fields(SurgeryChoices) if field.name not in ("text", "model")]
    app = page(**dict.fromkeys(names, value))
    assert not app.exception and not app.error and app.info


@pytest.mark.parametrize("text", ["<b>[l](http://x.y)</b> $x$ 🦊\x00", "![](http://x.y/z.png)", "a"])
def test_no_text_becomes_markup(text: str) -> None:
    app = page(text=text)
    assert not app.exception and not app.error
    assert all("http" not in each.value for each in (*app.markdown, *app.caption, *app.info))


def test_the_healed_siblings_stand_beside_the_trained_ones() -> None:
    from headlight.core.surgery.healed import healed

    app = page()
    assert "trained that way" in told(app)
    for each in healed():
        assert f"{each.source_kept} → {each.kept}" in told(app)


def test_what_pretrained_models_came_to_is_told_from_their_cards() -> None:
    app = fine(page())
    words, tables = told(app), [table.value for table in app.table]
    shipped = qualities()
    assert shipped and all(f"**{each.title}, {each.original_kept} → {each.kept}**" in words for each in shipped)
    rows = next(table for table in tables if "tokens read" in table)
    assert list(rows["model"]) == [each.title for each in shipped]
    assert f"{shipped[0].healed['held-out']:.3f}" in rows.iloc[0].to_string()
    looks = next(table for table in tables if "head" in table)
    for each in shipped:
        for head, weight in each.referent.get("healed", {}).items():
            where = "layer {} head {}".format(*head.split("."))
            place = looks[looks["model"].str.startswith(each.title) & (looks["head"] == where)]
            assert list(place["healed"]) == [f"{weight:.3f}"]
    published = next(table for table in tables if "120 (MLA)" in table)
    assert list(published.iloc[0][1:]) == ["44.5", "43.06", "41.84", "40.97"] and "arXiv 2502.14837" in words
