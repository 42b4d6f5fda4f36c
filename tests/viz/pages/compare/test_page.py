"""Compare without a browser: what the page answers to links, choices and impossible wishes."""

from __future__ import annotations

import re
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from headlight import load_model, run
from headlight.core.analysis.compare import best_match, distance, read_alike
from headlight.core.registry import SIBLINGS, ModelRow
from tests.apptest import opened

PRETRAINED = {"model": "minilm", "model2": "smollm2"}
SAME_TOKENS = [name for name, row in SIBLINGS.items() if row.installed][:2]
siblings = pytest.mark.skipif(len(SAME_TOKENS) < 2, reason="takes two trained siblings")
LINE = "Tom saw the old dog, and the old dog saw Tom."


page = partial(opened, "compare")


def told(app: AppTest) -> str:
    """All captions and texts, as plain text."""
    return re.sub(r"\\(.)", r"\1", " ".join(each.value for each in [*app.caption, *app.text, *app.markdown]))


def test_it_opens_with_two_models_and_writes_them_into_the_link() -> None:
    app = page()
    assert not app.exception and not app.error
    assert {"model", "model2", "layer", "head"} <= set(app.query_params)


def test_the_match_and_its_distance_are_those_of_core() -> None:
    app = page(text=LINE, layer="3", head="1", **PRETRAINED)
    _, (first, other) = read_alike([run(load_model(name, "cpu"), LINE) for name in PRETRAINED.values()])
    match = best_match(first, (3, 1), other)
    assert f"distance over the sentence: layer {match.layer} head {match.head}, {match.distance:.3f}" in told(app)
    assert "smallest parts" in told(app)


def test_same_layer_and_head_are_those_that_all_models_have() -> None:
    app = page(text=LINE, layer="9", head="11", heads="same", **PRETRAINED)
    assert (app.query_params["layer"], app.query_params["head"]) == ("5", "8")
    assert "Layer 9 does not exist (layers 0 to 5 do)" in app.info[0].value
    _, (first, other) = read_alike([run(load_model(name, "cpu"), LINE) for name in PRETRAINED.values()])
    assert f"{distance(first, (5, 8), other, (5, 8)):.3f} (0: the same" in told(app)
    assert "minilm has 6 layers of 12 heads, smollm2 has 30 layers of 9 heads" in told(app)


@siblings
def test_a_picked_cell_is_read_out_for_every_model() -> None:
    first, second = SAME_TOKENS
    app = page(text=LINE, model=first, model2=second, layer="1", head="2", heads="same", query="5", key="3")
    weights = [run(load_model(name, "cpu"), LINE).layers[1].weights[2, 5, 3] for name in SAME_TOKENS]
    for name, weight in zip(SAME_TOKENS, weights, strict=True):
        assert f"{SIBLINGS[name].title} {weight:.3f}" in told(app)


def test_a_model_is_added_traded_and_taken_out() -> None:
    app = page(text=LINE, **PRETRAINED)
    app.selectbox(key="compare_model_0").set_value("smollm2").run()
    assert (app.query_params["model"], app.query_params["model2"]) == ("smollm2", "minilm")
    if not SAME_TOKENS:
        return
    app.selectbox(key="compare_model_2").set_value(SAME_TOKENS[0]).run()
    assert app.query_params["model3"] == SAME_TOKENS[0]
    app.selectbox(key="compare_model_2").set_value(None).run()
    assert not app.exception
    assert "model3" not in app.query_params


def test_impossible_links_show_what_there_is_and_say_so() -> None:
    app = page(model="gpt-9", model2="minilm", layer="99", head="-3", query="500", key="abc", order="zzz", seed="x",
               heads="?", subject="gpt-9")  # fmt: skip
    assert not app.exception and not app.error
    for words in ("not on this machine", "Layer 99", "Head -3", "key isn't a number", "order of words",
                  "seed is not", "way of choosing heads", "using another"):  # fmt: skip
        assert words in app.info[0].value


def test_a_cell_that_does_not_exist_is_the_nearest_one() -> None:
    app = page(text=LINE, query="500", key="2", **PRETRAINED)
    assert "Token 500 does not exist" in app.info[0].value
    assert (app.query_params["query"], app.query_params["key"]) == ("12", "2")


@pytest.mark.parametrize("text", ["", " ", "\n\t", "x" * 30_000, "word " * 3_000])
def test_a_link_with_unreadable_text_gives_one_line_and_no_traceback(text: str) -> None:
    app = page(text=text, **PRETRAINED)
    assert not app.exception and not app.error
    assert len(app.warning) == 1


def test_an_emptied_text_keeps_the_last_picture() -> None:
    app = page(text=LINE, **PRETRAINED)
    app.text_input(key="compare_text").set_value("").run()
    assert not app.exception
    assert "last sentence that could be read" in app.warning[0].value.replace("\\", "")
    assert "Matched by smallest" in told(app)


def test_a_model_that_cannot_read_the_text_is_left_out_with_the_reason() -> None:
    app = page(text="word " * 505 + "🦊" * 9, order="reversed", **PRETRAINED)
    assert not app.exception
    assert "left out" in told(app) + " ".join(w.value for w in app.warning)


def test_a_machine_with_one_model_or_none_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelRow, "installed", False)
    app = page()
    assert not app.exception
    assert "needs two models" in app.error[0].value


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_words_in_another_order_give_the_permutation_and_a_number(order: str) -> None:
    app = page(text="cross the street", order=order, seed="4", **PRETRAINED)
    assert not app.exception and not app.warning
    places = re.search(r"counted from 0: ([\d ]+)", told(app))[1].split()
    read = re.search(r"Read as: (.*?) Largest", told(app))[1].split()
    assert read == [["cross", "the", "street"][int(place)] for place in places] != ["cross", "the", "street"]
    assert re.search(r"Largest change of a weight: \S+ in this head, \S+ in any head", told(app))


@siblings
def test_an_experiment_that_its_model_cannot_make_is_one_line_and_the_maps_stay() -> None:
    app = page(text="word " * 400, order="reversed", subject=SAME_TOKENS[0], **PRETRAINED)
    assert not app.exception and not app.error
    assert "experiment isn" in app.warning[0].value and "reads 256 at most" in app.warning[0].value
    assert "Matched by smallest" in told(app)


def test_another_shuffle_is_another_seed_in_the_link() -> None:
    app = page(text=LINE, order="shuffled", **PRETRAINED)
    app.button(key="compare_again").click().run()
    assert not app.exception
    assert app.query_params["seed"] == "1"


def test_one_word_cannot_be_shuffled() -> None:
    app = page(text="word", order="shuffled", **PRETRAINED)
    assert not app.exception
    assert "only one word" in told(app)


@pytest.mark.skipif(not SIBLINGS["mha-none"].installed, reason="takes the sibling without encoding")
def test_without_encoding_and_mask_the_largest_change_is_rounding() -> None:
    link = {"text": "cross the street, street the cross", "model": "mha-none", "model2": "minilm", "order": "shuffled"}
    number = r"([\d.e-]+) in any head"
    blind, causal = page(**link, both_ways="1"), page(**link)
    assert float(re.search(number, told(blind))[1]) < 1e-5
    assert "the same up to the shuffle" in told(blind) and "not a use of it" in told(blind)
    assert float(re.search(number, told(causal))[1]) > 0.01
    assert "its causal mask tells it" in told(causal)


@siblings
def test_siblings_can_be_read_both_ways_and_others_cannot() -> None:
    app = page(text=LINE, order="reversed", subject=SAME_TOKENS[0], both_ways="1", **PRETRAINED)
    assert not app.exception
    assert "not a use of it" in told(app)
    app.selectbox(key="compare_subject").set_value("minilm").run()
    assert app.toggle(key="compare_both_ways").disabled and "not a use of it" not in told(app)
