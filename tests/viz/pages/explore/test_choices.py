"""A view goes into a link and comes back; a link that asks for too much is settled, and says so."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headlight.core.analysis.head_scores import MEASURES
from headlight.core.tokenizer import Tokenizer
from headlight.core.types import Tokens
from headlight.viz.pages.explore.choices import Choices, follow, settle

FALLBACK = Choices(text="fallback", model="minilm")
numbers = st.none() | st.integers(-999_999_999, 999_999_999)
views = st.builds(
    Choices,
    text=st.text(),
    model=st.text(max_size=20),
    layer=numbers,
    head=numbers,
    query=numbers,
    key=numbers,
    skip_first=st.booleans(),
    measure=st.sampled_from(list(MEASURES)),
    everyone=st.booleans(),
)


@given(view=views)
def test_a_view_comes_back_from_its_link_as_it_was(view):
    assert Choices.parse(view.link(), FALLBACK) == (view, [])


@given(view=views)
def test_a_link_holds_text_only_and_leaves_out_what_is_off(view):
    link = view.link()
    assert all(isinstance(value, str) for value in link.values())
    for name in ("layer", "head", "query", "key"):
        assert (name in link) == (getattr(view, name) is not None)
    for name in ("skip_first", "everyone"):
        assert (name in link) == getattr(view, name)


def test_an_empty_link_is_the_fallback_with_its_choices_open():
    view, notes = Choices.parse({}, FALLBACK)
    assert view == Choices(text="fallback", model="minilm", measure=FALLBACK.measure)
    assert notes == []


@pytest.mark.parametrize("value", ["", "three", "3.0", "--3", "3 4", "٣", "²", "1" * 10, "0x3", "-", "None", "1e3"])
@pytest.mark.parametrize("name", ["layer", "head", "query", "key"])
def test_a_number_that_is_none_is_noted_and_left_open(name, value):
    view, notes = Choices.parse({name: value}, FALLBACK)
    assert getattr(view, name) is None
    assert notes == [f"The link's {name} isn't a number; using the default."]


def test_an_unknown_measure_is_noted_and_the_fallback_taken():
    view, notes = Choices.parse({"measure": "<b>beauty</b>"}, FALLBACK)
    assert view.measure == FALLBACK.measure
    assert notes == ["The link's measure is unknown; heads are ranked by weight on the picked token."]


@example(params={"layer": "0\x1f", "head": " -3\n"})
@given(params=st.dictionaries(st.sampled_from([*Choices.__dataclass_fields__, "other"]), st.text(max_size=12)))
def test_no_link_can_break_a_page(params):
    view, notes = Choices.parse(params, FALLBACK)
    settled, more = settle(view, n_layers=6, n_heads=12, length=17, causal=True)
    assert all(isinstance(note, str) for note in notes + more)
    assert settled.measure in MEASURES
    for value, count in ((settled.layer, 6), (settled.head, 12), (settled.query, 17), (settled.key, 17)):
        assert value is None or 0 <= value < count


@given(view=views, causal=st.booleans())
def test_settling_changes_only_what_does_not_exist_and_notes_each_change(view, causal):
    settled, notes = settle(view, n_layers=6, n_heads=12, length=17, causal=causal)
    assert (settled.text, settled.model, settled.measure) == (view.text, view.model, view.measure)
    for name, count in (("layer", 6), ("head", 12), ("query", 17)):
        asked, given_ = getattr(view, name), getattr(settled, name)
        assert given_ == (asked if asked is None else min(max(asked, 0), count - 1))
    if causal and settled.query is not None and settled.key is not None:
        assert settled.key <= settled.query
    assert bool(notes) == (settled != view)
    assert settle(settled, n_layers=6, n_heads=12, length=17, causal=causal) == (settled, [])


def test_a_note_says_what_was_asked_for_what_there_is_and_what_is_shown():
    view = Choices("x", "minilm", layer=6, head=-1, query=2, key=5)
    settled, notes = settle(view, n_layers=6, n_heads=12, length=17, causal=True)
    assert (settled.layer, settled.head, settled.query, settled.key) == (5, 0, 2, 2)
    assert notes == [
        "Layer 6 does not exist (layers 0 to 5 do); showing layer 5.",
        "Head -1 does not exist (heads 0 to 11 do); showing head 0.",
        "Token 2 cannot see token 5, which comes later; showing what it sees of itself.",
    ]


@pytest.fixture(scope="module")
def encoder(minilm) -> Tokenizer:
    return minilm.tokenizer


def _followed(encoder: Tokenizer, word: str, before: str, after: str) -> str:
    old, new = encoder.encode(before), encoder.encode(after)
    return new.pieces[follow(old.pieces.index(word), old, new)]


@pytest.mark.parametrize(
    ("word", "after"),
    [
        ("animal", "The animal did cross the street, because it was too tired."),
        ("tired", "The small animal didn't cross the street, because it was too tired."),
        ("it", "The animal didn't cross the busy street at all, because it was too tired."),
        ("[SEP]", "The animal didn't cross."),
        ("[CLS]", "Something else"),
    ],
)
def test_a_chosen_token_is_followed_through_an_edit(encoder, sentence, word, after):
    assert _followed(encoder, word, sentence, after) == word


def test_a_chosen_token_is_found_again_by_its_place_with_another_tokenizer(minilm, smollm2, sentence):
    old, new = minilm.tokenizer.encode(sentence), smollm2.tokenizer.encode(sentence)
    assert new.pieces[follow(old.pieces.index("animal"), old, new)] == " animal"
    assert old.pieces[follow(new.pieces.index(" animal"), new, old)] == "animal"


words = st.lists(st.sampled_from(["the", "animal", "street", "it", "was", "🦊", "didn't"]), min_size=1, max_size=8)


@given(before=words, after=words, place=st.integers(0, 99))
def test_following_always_ends_at_a_token_of_the_new_text(encoder, before, after, place):
    old, new = (encoder.encode(" ".join(each)) for each in (before, after))
    assert 0 <= follow(place, old, new) < len(new)
    if place < len(old):
        assert follow(place, old, old) == place


def test_following_survives_a_text_that_shrinks_to_one_token(smollm2):
    old = smollm2.tokenizer.encode("one two three")
    one: Tokens = smollm2.tokenizer.encode("x")
    assert [follow(i, old, one) for i in range(len(old))] == [0] * len(old)
