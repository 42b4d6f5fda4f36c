"""A comparison goes into a link and comes back; models are chosen, added, traded and taken out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headlight.viz.pages.compare.choices import (
    MOST,
    ORDERS,
    Comparison,
    completed,
    settle,
    with_model,
)

FALLBACK = Comparison(text="fallback", models=("a", "b"))
numbers = st.none() | st.integers(-999_999_999, 999_999_999)
names = st.lists(st.text(max_size=12), min_size=2, max_size=MOST, unique=True).map(tuple)
comparisons = st.builds(
    Comparison, text=st.text(), models=names, layer=numbers, head=numbers, query=numbers, key=numbers,
    matched=st.booleans(), skip_first=st.booleans(), order=st.sampled_from(list(ORDERS)), seed=st.integers(0, 10**9 - 1),
    both_ways=st.booleans(), subject=st.none() | st.text(max_size=12),
)  # fmt: skip


@given(choices=comparisons)
def test_a_comparison_comes_back_from_its_link_as_it_was(choices):
    link = choices.link()
    assert all(isinstance(value, str) for value in link.values())
    assert Comparison.parse(link, FALLBACK) == (choices, [])


def test_an_empty_link_is_the_fallbacks_text_and_models_with_all_else_open():
    assert Comparison.parse({}, FALLBACK) == (Comparison(text="fallback", models=("a", "b")), [])


@pytest.mark.parametrize(
    ("link", "models"),
    [
        ({"model": "x"}, ("x", "a")), ({"model": "b"}, ("b", "a")), ({"model": "x", "model2": "x"}, ("x", "a")),
        ({"model3": "x", "model4": "y"}, ("x", "y")), ({"model": "", "model5": "z"}, ("", "a")),
    ],
)  # fmt: skip
def test_a_link_with_fewer_than_two_models_is_filled_up(link, models):
    assert Comparison.parse(link, FALLBACK)[0].models == models


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ({"order": "sideways"}, "order of words is unknown"), ({"heads": "all"}, "way of choosing heads is unknown"),
        ({"seed": "-1"}, "seed is not a number"), ({"seed": "٣"}, "seed is not a number"), ({"seed": ""}, "seed is not"),
        ({"seed": "1" * 10}, "seed is not a number"), ({"layer": "three"}, "layer isn't a number"),
    ],
)  # fmt: skip
def test_what_a_link_asks_for_in_vain_is_noted_and_left_as_it_is_by_itself(link, says):
    choices, notes = Comparison.parse(link, FALLBACK)
    assert choices == Comparison(text="fallback", models=("a", "b"))
    assert len(notes) == 1 and says in notes[0]


@given(
    params=st.dictionaries(st.sampled_from([*FALLBACK.link(), "model3", "heads", "both_ways"]), st.text(max_size=12))
)
def test_no_link_can_break_the_page(params):
    choices, notes = Comparison.parse(params, FALLBACK)
    assert choices.order in ORDERS and 2 <= len(choices.models) <= MOST and choices.seed >= 0
    assert len(set(choices.models)) == len(choices.models)
    settled, more = settle(choices, n_layers=3, n_heads=5, length=7)
    assert all(isinstance(note, str) for note in notes + more)
    for value, count in ((settled.layer, 3), (settled.head, 5), (settled.query, 7), (settled.key, 7)):
        assert value is None or 0 <= value < count


@given(models=names, place=st.integers(0, MOST - 1), name=st.none() | st.text(max_size=12))
def test_models_stay_two_to_four_and_each_once_whatever_is_chosen(models, place, name):
    after = with_model(models, min(place, len(models)), name)
    assert 2 <= len(after) <= MOST
    assert len(set(after)) == len(after)


def test_choosing_trades_adds_and_takes_out():
    assert with_model(("a", "b"), 0, "b") == ("b", "a")
    assert with_model(("a", "b"), 1, "c") == ("a", "c")
    assert with_model(("a", "b"), 2, "c") == ("a", "b", "c")
    assert with_model(("a", "b"), 2, "a") == ("a", "b")
    assert with_model(("a", "b", "c"), 2, None) == ("a", "b")
    assert with_model(("a", "b"), 1, None) == ("a", "b")
    assert completed((), ("a", "b", "c")) == ("a", "b")
