"""Decoding with the cache is reading at once, and the cache holds what the paper says."""

from __future__ import annotations

import itertools

import pytest
import torch

from core import run
from core.cache import DecodingCache, KVCache
from core.decoding import Decoder, continue_text
from core.errors import InputError
from core.model import Model
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
