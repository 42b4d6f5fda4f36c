"""Watch it think, without a browser: steps, links, limits."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from headlight import load_model
from headlight.core.decoding import Continuation
from headlight.viz.pages.watch import choices as watch_view
from headlight.viz.pages.watch.choices import WatchChoices
from tests.apptest import opened

TEXT = "Once upon a time"


def page(**link: str) -> AppTest:
    return opened("watch", **{"text": TEXT, "model": "mla-rope"} | link)


def written(app: AppTest) -> str:
    return next((m.value for m in app.markdown if "blue-background" in m.value), "")


def test_each_step_appends_the_token_that_the_model_chooses() -> None:
    continuation = Continuation(load_model("mla-rope", "cpu"), TEXT)
    app = page()
    assert not app.exception and written(app) == ""
    for count in (1, 2, 3):
        app.button(key="watch_step").click().run()
        continuation.advance()
        assert not app.exception
        assert app.query_params["count"] == str(count)
        words = "".join(step.text for step in continuation.steps).strip(" ,.")
        assert words.split(" ")[-1] in written(app)
        assert any(f"Remembered: {continuation.decoder.nbytes:,} bytes" in m.value for m in app.markdown)


def test_a_link_shows_the_same_continuation_again() -> None:
    one, other = (page(count="9", temperature="0.9", seed="5") for _ in range(2))
    assert not one.exception
    assert written(one) == written(other) != written(page(count="9", temperature="0.9", seed="6"))


def test_start_again_and_a_new_sentence_begin_from_nothing() -> None:
    app = page(count="3")
    app.button(key="watch_restart").click().run()
    assert app.query_params["count"] == "0" and written(app) == ""
    app.button(key="watch_step").click().run()
    app.text_input(key="watch_text").set_value("The old dog").run()
    assert app.query_params["count"] == "0" and written(app) == ""


def test_the_end_of_the_context_and_the_limit_are_said() -> None:
    model = load_model("mla-rope", "cpu")
    text = next(t for n in range(100, 260) if len(model.tokenizer.encode(t := "the" + " the" * n)) == model.context - 3)
    app = page(text=text, count="9")
    assert not app.exception
    assert app.query_params["count"] == "4"
    assert any("this is the end" in c.value for c in app.caption)
    assert app.button(key="watch_step").disabled
    assert any(f"{watch_view.MAX_NEW} new tokens" in c.value for c in page(count=str(watch_view.MAX_NEW)).caption)


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ({"model": "minilm"}, "cannot continue a text"),
        ({"model": "gpt-9"}, "cannot continue a text"),
        ({"count": "-1"}, "count isn't a whole number"),
        ({"count": "1e9"}, "count isn't a whole number"),
        ({"temperature": "nan"}, "temperature isn't a number"),
        ({"temperature": "hot"}, "temperature isn't a number"),
        ({"seed": "9" * 30}, "seed isn't a whole number"),
    ],
)
def test_a_link_to_what_cannot_be_is_noted(link: dict[str, str], says: str) -> None:
    app = page(**link)
    assert not app.exception
    assert says in app.info[0].value.replace("\\", "")


@pytest.mark.parametrize("text", ["", " ", "x " * 3000, "![](http://example.org/a.png) **b** <b>"])
def test_odd_text_gives_one_line_or_a_picture(text: str) -> None:
    app = page(text=text, count="2")
    assert not app.exception
    assert not any("](http" in m.value.replace("\\]\\(", "") for m in app.markdown)


def test_layers_and_heads_beyond_the_model_show_the_last_ones() -> None:
    app = page(layer="99", head="99", count="2")
    assert not app.exception
    assert (app.query_params["layer"], app.query_params["head"]) == ("3", "5")


@pytest.mark.parametrize(
    "choices",
    [WatchChoices("a", "mha-rope"), WatchChoices("b c", "smollm2", 7, 3, 2, 0.8, 11), WatchChoices("", "x", 0, 0, 0)],
)
def test_a_link_brings_back_the_choices_it_was_made_of(choices: WatchChoices) -> None:
    assert WatchChoices.parse(choices.link(), WatchChoices("other", "other")) == (choices, [])
