"""Words in another order: without encoding and mask the weights are permuted and nothing else; otherwise they change."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headlight import run
from headlight.core.analysis.word_order import both_ways, rearrange, reorder, shuffled, words
from headlight.core.errors import InputError
from tests.core.checkpoints.tiny_sibling import tiny_sibling

LINE = "cross the street, street the cross, please don't"
VARIANTS = ("mha", "gqa", "mqa", "mla")


def pieces_of_words(tokens) -> list[list[str]]:
    return [[tokens.pieces[i] for i in word] for word in words(tokens)]


def test_words_are_what_blanks_part(minilm, smollm2):
    assert pieces_of_words(minilm.tokenizer.encode("didn't  cross,\nreally?")) == [
        ["didn", "'", "t"], ["cross", ","], ["really", "?"],
    ]  # fmt: skip
    assert pieces_of_words(smollm2.tokenizer.encode("didn't cross")) == [["did", "n", "'t"], [" cross"]]


@given(text=st.text(min_size=1, max_size=25), seed=st.integers(0, 99))
def test_every_token_but_the_special_ones_is_in_one_word_and_moves_with_it(encoders, text, seed):
    for encoder in encoders:
        try:
            tokens = encoder.encode(text)
        except InputError:
            continue
        groups = words(tokens)
        moved, places = rearrange(tokens, shuffled(len(groups), seed))
        assert sorted(places) == list(range(len(tokens)))
        assert sorted(i for group in groups for i in group) == [i for i, s in enumerate(tokens.special) if not s]
        for new, old in enumerate(places):
            assert (moved.ids[new], moved.special[new]) == (tokens.ids[old], tokens.special[old])
            assert old == new or not tokens.special[old]
            start, end = moved.spans[new]
            was = tokens.spans[old]
            assert moved.special[new] or moved.text[start:end] == tokens.text[was[0] : was[1]]


@pytest.fixture(scope="module")
def encoders(minilm, smollm2):
    return minilm.tokenizer, smollm2.tokenizer


@given(count=st.integers(0, 12), seed=st.integers(0, 10**9))
def test_a_seed_stands_for_one_order_and_never_for_the_written_one(count, seed):
    order = shuffled(count, seed)
    assert order == shuffled(count, seed)
    assert sorted(order) == list(range(count))
    assert count < 2 or list(order) != sorted(order)


def test_an_order_that_is_none_is_refused(minilm):
    with pytest.raises(InputError, match="an order of 2 words"):
        rearrange(minilm.tokenizer.encode("one two"), (0, 0))


def test_the_words_read_as_they_stand(smollm2):
    moved, _ = rearrange(smollm2.tokenizer.encode("cross the street"), (2, 1, 0))
    assert moved.text.split() == ["street", "the", "cross"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_encoding_and_mask_the_weights_are_the_same_up_to_the_permutation(minilm, variant):
    model = both_ways(tiny_sibling(variant, "none", minilm.tokenizer))
    written = run(model, LINE)
    for seed in range(3):
        experiment = reorder(model, written, shuffled(8, seed))
        assert experiment.largest_change() < 1e-12
        assert bool(experiment.mask(1).all())
        assert (experiment.moved.hidden[torch.tensor(experiment.places).argsort()] - written.hidden).abs().max() < 1e-10


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("position", ["none", "sinusoidal", "rope"])
def test_a_mask_or_an_encoding_shows_the_order(minilm, variant, position):
    model = tiny_sibling(variant, position, minilm.tokenizer)
    assert reorder(model, run(model, LINE), range(7, -1, -1)).largest_change() > 0.01
    if position != "none":
        model = both_ways(model)
        assert reorder(model, run(model, LINE), range(7, -1, -1)).largest_change() > 0.01


def test_a_cell_put_back_is_that_of_the_same_two_tokens(minilm):
    written = run(minilm, LINE)
    experiment = reorder(minilm, written, shuffled(8, 5))
    moved = experiment.moved.layers[2].weights
    back = experiment.put_back(2)
    for i, a in enumerate(experiment.places):
        for j, b in enumerate(experiment.places):
            assert torch.equal(back[:, a, b], moved[:, i, j])
    changes = (back - written.layers[2].weights).abs().flatten(1).amax(1)
    torch.testing.assert_close(experiment.change(2), changes, rtol=0, atol=1e-6)
    assert experiment.largest_change() >= float(changes.max()) - 1e-6


def test_a_causal_picture_put_back_has_its_mask_put_back(smollm2):
    experiment = reorder(smollm2, run(smollm2, "one two three"), (2, 1, 0))
    assert experiment.mask(0).tolist() == [[True, True, True], [False, True, True], [False, False, True]]


def test_only_a_causal_model_of_ours_can_read_both_ways(minilm):
    model = tiny_sibling("mla", "rope", minilm.tokenizer)
    assert model.causal and not both_ways(model).causal
    with pytest.raises(InputError, match="has no causal mask"):
        both_ways(minilm)
