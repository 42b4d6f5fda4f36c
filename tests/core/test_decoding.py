"""Decoding with the cache is reading at once, and the cache holds what the paper says."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from headlight import load_model, run
from headlight.core.cache import DecodingCache, KVCache
from headlight.core.decoding import Continuation, Decoder, continue_text
from headlight.core.errors import InputError
from headlight.core.model import Model
from headlight.core.types import Tokens
from tests.core.variants import LENGTH, Case, cases, random


@cases(causal=(True,))
def test_every_variant_decodes_what_it_would_have_read_at_once(case: Case) -> None:
    whole, past, end = case.attend().out, DecodingCache(capacity=3), 0
    for size in (5, 1, 4, 3):
        start, end = end, end + size
        x = case.position.at_input(case.x[start:end], torch.arange(start, end))
        out = case.attention.step(x, case.params, case.position, past)
        torch.testing.assert_close(out, whole[start:end], rtol=0, atol=1e-12)
        assert past.length == end
        assert past.nbytes == case.attention.cached_elements_per_token() * 8 * end
    assert end == LENGTH


def test_buffers_hold_what_concatenation_would_and_never_shrink() -> None:
    value, buffers = KVCache(), DecodingCache(capacity=2)
    for i, length in enumerate((1, 3, 2, 7)):
        new = {"k": random(2, length, 5, seed=i), "v": random(2, length, 3, seed=i + 9)}
        value, kept = value.extend(**new), buffers.extend(**new)
        assert kept is buffers
        assert all(torch.equal(buffers.tensors[name], value.tensors[name]) for name in "kv")
        assert (buffers.length, buffers.nbytes) == (value.length, value.nbytes)
    assert buffers.reserved_nbytes == 16 * 2 * 8 * 8


def test_smollm2_continues_a_text_as_reading_it_whole_would(smollm2: Model) -> None:
    text, ids = "The capital of France is", []
    for new in continue_text(smollm2, text, 6):
        ids.append(new.id)
    tokens = smollm2.tokens(text)
    for count, expected in enumerate(ids):
        longer = type(tokens)(
            text, tokens.ids + tuple(ids[:count]), tokens.pieces + ("",) * count,
            tokens.spans + ((0, 1),) * count, tokens.special + (False,) * count,
        )  # fmt: skip
        assert int(run(smollm2, longer, layers=[]).logits[-1].argmax()) == expected
    assert "Paris" in smollm2.tokenizer.decode(ids)


def test_the_caches_grow_by_what_a_token_costs(smollm2: Model) -> None:
    sizes = [new.cache_nbytes for new in continue_text(smollm2, "Once upon a time", 5)]
    a_token = smollm2.attention.cached_elements_per_token() * 4 * smollm2.n_layers
    assert sizes[0] == len(smollm2.tokens("Once upon a time")) * a_token
    assert {after - before for before, after in itertools.pairwise(sizes)} == {a_token}


def test_a_seed_makes_sampling_repeatable_and_another_seed_changes_it(smollm2: Model) -> None:
    def drawn(seed: int) -> list[int]:
        return [new.id for new in continue_text(smollm2, "Once upon a time", 12, temperature=1.5, seed=seed)]

    assert drawn(3) == drawn(3) != drawn(4)


def test_an_encoder_cannot_continue_a_text(minilm: Model) -> None:
    with pytest.raises(InputError, match="MiniLM reads both ways and cannot continue a text"):
        next(continue_text(minilm, "Once upon", 1))


def test_a_negative_temperature_and_a_full_context_are_refused(smollm2: Model) -> None:
    with pytest.raises(InputError, match=r"temperature \(-1.0\) must be 0"):
        next(continue_text(smollm2, "Once", 1, temperature=-1.0))
    with pytest.raises(InputError, match=r"reads 8,192 tokens at most"):
        Decoder(smollm2).read([1] * 8193)


@cases(causal=(True,))
def test_a_watched_step_shows_the_row_that_reading_at_once_has(case: Case) -> None:
    whole, past, end = case.attend(), DecodingCache(capacity=3), 0
    for size in (5, 1, 4, 3):
        start, end = end, end + size
        x = case.position.at_input(case.x[start:end], torch.arange(start, end))
        out, row = case.attention.watched(x, case.params, case.position, past)
        torch.testing.assert_close(row, whole.weights[:, end - 1, :end], rtol=0, atol=1e-12)
        torch.testing.assert_close(out, whole.out[start:end], rtol=0, atol=1e-12)


def longer(tokens: Tokens, ids: list[int]) -> Tokens:
    """The tokens with some more ids behind them."""
    more = len(ids)
    return Tokens(
        tokens.text, (*tokens.ids, *ids), tokens.pieces + ("",) * more, tokens.spans + ((0, 1),) * more,
        tokens.special + (False,) * more,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["smollm2", "mha-rope", "gqa-rope", "mqa-rope", "mla-rope"])
def test_what_a_continuation_looked_at_is_what_reading_it_whole_shows(name: str) -> None:
    model = load_model(name, "cpu")
    continuation = Continuation(model, "Once upon a time there was", temperature=0.8, seed=3, watch=True)
    ids = [continuation.advance().id for _ in range(6)]
    whole = run(model, longer(continuation.prompt, ids))
    for number, step in enumerate(continuation.steps):
        place = len(continuation.prompt) - 1 + number
        for layer in (0, model.n_layers - 1):
            expected = whole.layers.rows(layer, slice(place, place + 1))[:, 0, : place + 1]
            torch.testing.assert_close(step.weights[layer], expected, rtol=0, atol=2e-5)


def test_candidates_are_the_likeliest_tokens_and_the_same_seed_gives_the_same_text(smollm2: Model) -> None:
    one, other = (Continuation(smollm2, "The capital of France is", 1.5, seed=7) for _ in range(2))
    assert [one.advance().id for _ in range(5)] == [other.advance().id for _ in range(5)]
    first = Continuation(smollm2, "The capital of France is").advance()
    assert first.candidates[0] == (first.text, pytest.approx(first.probability))
    assert [p for _, p in first.candidates] == sorted((p for _, p in first.candidates), reverse=True)
    assert first.weights == ()


def test_a_continuation_ends_where_the_context_does(smollm2: Model) -> None:
    short = Continuation(replace(smollm2, context=7), "The capital of France is")
    while not short.full:
        short.advance()
    assert len(short.prompt) + len(short.steps) == 8
    with pytest.raises(InputError, match="reads 7 tokens at most"):
        short.advance()
