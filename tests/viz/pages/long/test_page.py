"""Long texts without a browser: reading with progress and Cancel, links, own texts, every section, hostile input."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from headlight import load_model
from headlight.core.long.document import long_texts
from headlight.core.model import Model
from headlight.core.registry import ModelRow
from headlight.viz import store
from headlight.viz.pages.long import page as long
from headlight.viz.pages.long.choices import LINKED, SECTIONS
from tests import apptest
from tests.apptest import fine

TEXT = "The old dog saw the young cat, and the cat saw the dog. " * 12


def opened(**link: str) -> AppTest:
    return apptest.opened("long", **{"model": "gqa-rope", "pasted": TEXT} | link)


def read(app: AppTest) -> AppTest:
    """Lets the reading under way come to its end, and shows it."""
    readings = store.readings()
    for job in list(readings._jobs.values()):
        job.join(100.0)
    return app.run()


def page(**link: str) -> AppTest:
    return read(opened(**link))


def plain(text: str) -> str:
    return text.replace("\\", "")


def test_a_link_opens_its_text_model_layer_and_head() -> None:
    app = fine(page(layer="3", head="5", query="7", view="10.40.0.30", shows="mass", colours="linear"))
    assert (app.slider(key="long_layer").value, app.slider(key="long_head").value) == (3, 5)
    link = app.query_params
    assert {name: link[name] for name in ("model", "layer", "head", "view", "shows", "pasted")} == {
        "model": "gqa-rope", "layer": "3", "head": "5", "view": "10.40.0.30", "shows": "mass", "pasted": TEXT,
    }  # fmt: skip


def test_layers_and_heads_need_no_second_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(pasted="A unique text of its own. " + TEXT)
    monkeypatch.setattr(type(store.readings()), "read", lambda *a: pytest.fail("it was read again"))
    fine(app.slider(key="long_layer").set_value(0).run())
    fine(app.slider(key="long_head").set_value(3).run())
    fine(app.segmented_control(key="long_looks").set_value("by").run())
    fine(app.segmented_control(key="long_shows").set_value("mass").run())


def test_while_it_is_read_there_is_progress_and_cancel_stops_it() -> None:
    readings = store.readings()
    store.model("gqa-rope")
    with readings.turn():  # nothing gets on meanwhile
        app = opened(pasted="Stopped in the middle. " + TEXT)
        assert not app.exception
        assert app.button(key="long_cancel").label == "Cancel"
        job = next(job for job in readings._jobs.values() if job.running)
        app.button(key="long_cancel").click().run()
    job.join(60.0)
    assert job.stopped and not job.running
    app.run()
    assert "Reading was stopped" in app.info[0].value
    app.button(key="long_read").click().run()
    fine(read(app))
    assert app.slider(key="long_layer") is not None and not app.info


def test_another_text_gives_up_the_one_before() -> None:
    readings = store.readings()
    store.model("gqa-rope")
    with readings.turn():
        app = opened(pasted="Left for another one. " + TEXT)
        job = next(job for job in readings._jobs.values() if job.running)
        app.selectbox(key="long_example").set_value("giant").run()
    job.join(60.0)
    assert job.stopped
    assert not read(app).exception


def test_a_reading_that_fails_is_one_sentence_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from headlight.core.errors import InputError
    from headlight.core.long import reading

    def fail(self) -> None:
        raise InputError("there is no room on disk to keep this text")

    monkeypatch.setattr(reading.Reader, "step", fail)
    app = page(pasted="No room for this one. " + TEXT)
    assert "There is no room on disk" in plain(app.warning[0].value) and not app.exception
    monkeypatch.undo()
    app.button(key="long_retry").click().run()
    fine(read(app))


def test_a_model_reads_as_much_as_it_can_and_says_so() -> None:
    app = read(apptest.opened("long", model="gqa-rope", example="giant"))
    assert not app.exception
    assert "GQA · RoPE reads 256 here, so its beginning is shown" in plain(app.info[0].value)


def test_minilm_reads_both_ways_within_its_positions() -> None:
    app = read(apptest.opened("long", model="minilm", example="giant"))
    assert not app.exception and "MiniLM reads 512 here" in plain(app.info[0].value)
    for section in SECTIONS:
        app.segmented_control(key="long_section").set_value(section).run()
        assert not app.exception and not app.error


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_opens_from_its_link(section: str) -> None:
    app = fine(page(section=section))
    assert app.segmented_control(key="long_section").value == section


def test_the_curves_say_what_the_weights_are() -> None:
    app = fine(page(layer="2", head="1"))
    model = load_model("gqa-rope", "cpu")
    from headlight import run

    weights = run(model, model.tokens(TEXT[:LINKED])).layers[2].weights[1]
    told = next(c.value for c in app.caption if "on average" in c.value and "token before" in c.value)
    before = float(weights.diagonal(-1).mean())
    assert f"head 1 puts {before:.4f}" in told


def test_heads_are_ranked_by_a_measure_of_choice() -> None:
    app = fine(page(section="heads", score="near"))
    app.selectbox(key="long_score").set_value("first").run()
    assert fine(app).query_params["score"] == "first"


def test_a_pasted_text_is_read_and_a_long_one_is_not_linked() -> None:
    app = page()
    app.text_area(key="long_pasted").set_value("Pasted. " + TEXT)
    submit(app)
    assert fine(read(app)).query_params["pasted"].startswith("Pasted.")
    app.text_area(key="long_pasted").set_value("Pasted and long. " + TEXT * 9)
    submit(app)
    app = read(app)
    assert not app.exception and "pasted" not in app.query_params
    assert any("too long for a link" in plain(each.value) for each in app.info)
    assert app.query_params["example"] == "own"


def submit(app: AppTest) -> None:
    next(button for button in app.button if button.label == "Read it").click().run()


def test_an_empty_paste_is_said_and_the_page_stays() -> None:
    app = page()
    app.text_area(key="long_pasted").set_value("  \n ")
    submit(app)
    assert "nothing to read" in plain(app.warning[0].value) and app.slider(key="long_layer") is not None


@pytest.mark.parametrize(
    "text", ["", " ", "\x00\x01\x02", "<b>[l](http://x.y)</b> $x$ 🦊\u202e" * 9, "x" * 1500, "\n" * 999]
)
def test_no_text_in_a_link_breaks_the_page(text: str) -> None:
    app = page(pasted=text)
    assert not app.exception and not app.error
    assert not any("](http" in plain(m.value) and "\\" not in m.value for m in app.markdown)


@pytest.mark.parametrize("value", ["-7", "999999999", "x<b>[y](z)", ""])
def test_no_number_in_a_link_breaks_the_page(value: str) -> None:
    names = ("layer", "head", "view", "query", "key", "shows", "colours", "looks", "section", "score")
    app = opened(**dict.fromkeys(names, value))
    assert not app.exception and not app.error and app.info
    assert not read(app).exception


def test_a_link_to_an_unknown_model_or_example_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long, "models", lambda: ["gqa-rope", "minilm"])
    app = apptest.opened("long", model="gpt-9", example="bible")
    told = plain(" ".join(each.value for each in app.info))
    assert "model is not here" in told and "isn't an example here" in told


def test_without_any_model_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelRow, "installed", False)
    app = opened()
    assert not app.exception and "no model is installed" in plain(app.warning[0].value).lower()


def test_two_visitors_read_two_texts_at_once() -> None:
    store.model("gqa-rope")
    with store.readings().turn():
        one, other = opened(pasted="One visitor. " + TEXT), opened(pasted="Another visitor. " + TEXT)
        assert sum(job.running for job in store.readings()._jobs.values()) == 2
        assert not one.exception and not other.exception
    for app in (one, other):
        fine(read(app))


def test_the_examples_all_open(smollm2: Model) -> None:
    for each in long_texts():
        tokens, notes = store.engine().document("smollm2", each.text)
        assert len(tokens) <= smollm2.context and notes == []
