"""The Positions page without a browser: every section, its controls, its links, what it refuses."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from headlight import load_model, run
from headlight.core.lessons import rotation
from headlight.core.model import Model
from headlight.core.registry import SIBLINGS, ModelRow
from headlight.viz.pages.positions.choices import SECTIONS, Positions
from tests.apptest import fine, opened

TEXT = "The old dog saw the young cat."


page = partial(opened, "positions")


def score(app: AppTest) -> float:
    found = next(text.value for text in app.text if "the score is" in text.value)
    return float(re.search(r"the score is (-?[\d.]+)\.$", found)[1])  # type: ignore[index]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_opens_from_its_link(section: str) -> None:
    app = fine(page(section=section))
    assert app.segmented_control(key="positions_section").value == section
    assert app.query_params["section"] == section


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", ["-7", "999999999", "x<b>[y](z)", ""])
def test_no_link_breaks_a_section(section: str, value: str) -> None:
    names = [field.name for field in fields(Positions) if field.name not in ("section", "text")]
    app = page(section=section, **dict.fromkeys(names, value))
    assert not app.exception and not app.error
    assert app.info, "a link with nonsense in it is told so"


@pytest.mark.parametrize("section", ["rope", "pairs", "mla"])
@pytest.mark.parametrize("text", ["", " ", "x" * 30_000, "a " * 3000, "<b>[l](http://x.y)</b> $x$ 🦊\x00"])
def test_no_text_breaks_a_section(section: str, text: str) -> None:
    app = page(section=section, text=text)
    assert not app.exception and not app.error


def test_the_score_on_screen_is_what_the_model_computed(smollm2: Model) -> None:
    app = fine(page(text=TEXT, layer="5", head="4", query="6", key="1"))
    expected = float(run(smollm2, TEXT, layers=[5]).layers[5].scores[4, 6, 1])
    assert score(app) == pytest.approx(expected, abs=1e-3)


def test_moved_together_the_score_stays_and_apart_it_moves(smollm2: Model) -> None:
    app = page(text=TEXT, layer="5", head="4", query="6", key="1")
    before = score(app)
    app.toggle(key="positions_together").set_value(True).run()
    app.slider(key="positions_q_at").set_value(200).run()
    assert (app.slider(key="positions_q_at").value, app.slider(key="positions_k_at").value) == (200, 195)
    assert score(app) == before
    assert {name: app.query_params[name] for name in ("q_at", "k_at", "together")} == {
        "q_at": "200", "k_at": "195", "together": "1",
    }  # fmt: skip
    app.toggle(key="positions_together").set_value(False).run()
    app.slider(key="positions_k_at").set_value(120).run()
    qk = rotation.of_run(run(smollm2, TEXT), 5, 4, 6, 1)
    assert score(app) == pytest.approx(qk.score(200, 120), abs=1e-3) and score(app) != before
    fine(app.button(key="positions_back").click().run())
    assert score(app) == before and "q_at" not in app.query_params


def test_two_equal_vectors_need_no_model() -> None:
    app = fine(page(model="unit", q_at="40", k_at="40"))
    assert score(app) == 1.0
    app.select_slider(key="positions_theta").set_value(100).run()
    app.slider(key="positions_k_at").set_value(33).run()
    assert score(app) == pytest.approx(rotation.unit(64, 100.0).score(7, 0), abs=1e-4)


def test_other_tokens_start_where_they_stand() -> None:
    app = page(text=TEXT, query="6", key="1", q_at="100", k_at="3")
    app.selectbox(key="positions_query").set_value(4).run()
    assert (app.slider(key="positions_q_at").value, app.slider(key="positions_k_at").value) == (4, 1)


def test_a_head_that_does_not_exist_is_noted() -> None:
    app = page(text=TEXT, layer="77", head="55", query="99", key="98")
    assert not app.exception and "Layer 77 does not exist" in app.info[0].value.replace("\\", "")


def test_pairs_agree_at_distance_0_and_after_a_right_conversion() -> None:
    app = fine(page(section="pairs", text=TEXT, layer="5", head="4", query="6", key="1"))
    rows = app.table[0].value
    right, wrong, converted = (list(rows.iloc[i][1:]) for i in range(3))
    assert right == converted and right[0] == wrong[0] and right[2] != wrong[2]


def test_the_sinusoidal_section_follows_its_controls() -> None:
    app = page(section="sinusoidal")
    app.slider(key="positions_count").set_value(10).run()
    assert app.slider(key="positions_at").value <= 9
    app.multiselect(key="positions_dims").set_value([2, 5]).run()
    app.select_slider(key="positions_width").set_value(16).run()
    fine(app)
    assert app.query_params["dims"] == "2.5" and app.query_params["width"] == "16"
    fine(app.multiselect(key="positions_dims").set_value([]).run())


@pytest.mark.parametrize(("key", "value"), [("positions_factor", 64), ("positions_factor", 1)])
def test_every_scaling_has_its_slowest_wavelength_on_screen(key: str, value: int) -> None:
    app = fine(page(section="longer").slider(key=key).set_value(value).run())
    last = next(c.value for c in app.caption if "slowest pair" in c.value)
    assert f"linear {round(47117 * value, -3):,.0f}"[:9] in last and "YaRN" in last


def test_one_alibi_head_is_enough() -> None:
    app = fine(page(section="alibi", heads="1", head_alibi="9"))
    assert "n = 1" in " ".join(c.value for c in app.caption)
    fine(app.slider(key="positions_heads").set_value(6).run())
    assert "no power of two" in " ".join(c.value for c in app.caption)


@pytest.mark.skipif(not SIBLINGS["mla-rope"].installed, reason="this sibling is not trained here")
def test_the_shift_test_on_screen_is_computed_now() -> None:
    app = fine(page(section="mla", text=TEXT, layer_mla="2", head_mla="3"))
    right, wrong = (app.table[0].value.iloc[i] for i in range(2))
    assert right["last token's score for the first"] == right["the same, 100 later"]
    assert wrong["last token's score for the first"] != wrong["the same, 100 later"]
    assert float(right["largest change of a score"]) < 1e-10 < 0.01 < float(wrong["largest change of a score"])
    trace = run(load_model("mla-rope", "cpu"), TEXT).layers[2]
    assert float(right["last token's score for the first"]) == pytest.approx(float(trace.scores[3, -1, 0]), abs=2e-3)
    fine(app.slider(key="positions_shift").set_value(0).run())


THERE = [name for name in ("mha", "gqa", "mqa", "mla") if SIBLINGS[f"{name}-rope"].installed]


@pytest.mark.skipif(not THERE, reason="no sibling with RoPE is trained here")
@pytest.mark.parametrize("attention", THERE)
def test_what_each_encoding_tells_apart_is_a_table(attention: str) -> None:
    app = fine(page(section="order", attention=attention))
    rows = {(row["positions"], row["reads"]): row for _, row in app.table[0].value.iterrows()}
    assert rows["RoPE", "left to right"]["entering"] == "0"
    assert rows["RoPE", "both ways (untrained)"]["tells them apart"] == "yes"
    blind = [
        row for (name, reads), row in rows.items() if name in ("None", "RoPE taken away, untrained") and "both" in reads
    ]
    assert [row["tells them apart"] for row in blind] == ["no"]
    if ("Sinusoidal", "left to right") in rows:
        assert float(rows["Sinusoidal", "left to right"]["entering"]) > 0.01


@pytest.mark.skipif(not THERE, reason="no sibling with RoPE is trained here")
def test_other_words_are_one_sentence_and_the_page_stays() -> None:
    app = page(section="order", first="the dog", second="the cat")
    assert not app.exception and "the same words" in app.warning[0].value.replace("\\", "")
    app.text_input(key="positions_second").set_value("dog the").run()
    fine(app)
    assert "other last word" in app.table[0].value.to_string()
    app.menu_button(key="positions_examples").click("cross the street").run()
    assert fine(app).query_params["second"] == "street the cross"


def test_without_siblings_and_models_the_page_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelRow, "installed", False)
    for section in SECTIONS:
        app = page(section=section)
        assert not app.exception and not app.error
    assert "training.run" in app.info[0].value


def test_only_the_open_section_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    from headlight.viz import store

    monkeypatch.setattr(store, "model", lambda name: pytest.fail(f"{name} was loaded"))
    for section in ("sinusoidal", "longer", "alibi"):
        fine(page(section=section))
