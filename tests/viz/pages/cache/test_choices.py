"""What is on the KV-cache page goes to the link and comes back; what a link asks for in vain is noted."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headlight.viz.pages.cache.choices import (
    BATCHES,
    BITS,
    CACHE_PRECISIONS,
    CONTEXTS,
    MOST_CONTEXT,
    REPEATS,
    SECTIONS,
    SIZES,
    CacheChoices,
)  # fmt: skip
from headlight.viz.ui.link import among, declared, several, spelled, whole

CHOICES = st.builds(
    CacheChoices, text=st.text(), section=st.sampled_from(list(SECTIONS)),
    measured_model=st.sampled_from(["smollm2", "mla-rope"]), measured_token=st.none() | st.integers(1, 600),
    measured_sizes=st.sampled_from(list(SIZES)), measured_most=st.sampled_from(MOST_CONTEXT),
    measured_repeats=st.sampled_from(REPEATS), claim_before=st.sampled_from(BITS), claim_after=st.sampled_from(BITS),
    decode_model=st.sampled_from(["deepseek-v3-671b", "llama-3-1-8b"]), decode_card=st.sampled_from(["h800", "a100"]),
    decode_context=st.sampled_from(CONTEXTS), decode_batch=st.sampled_from(BATCHES),
    decode_kv_heads=st.none() | st.integers(1, 128), decode_precision=st.sampled_from(CACHE_PRECISIONS),
    decode_weights=st.booleans(),
)  # fmt: skip


@given(CHOICES)
def test_a_link_brings_back_the_choices_it_was_made_of(choices: CacheChoices) -> None:
    assert CacheChoices.parse(choices.link(), CacheChoices(text="other")) == (choices, [])


def test_every_choice_has_a_place_in_the_link() -> None:
    assert set(declared(CacheChoices)) == {field.name for field in fields(CacheChoices)}


@pytest.mark.parametrize("value", ["", "-1", "x", "1e3", "nan", "99999999999", "٣", "1.5", "<b>", "\x00"])
@pytest.mark.parametrize(
    ("name", "called"),
    {
        "measured_token": "token", "measured_most": "longest context", "claim_after": "bits of DeepSeek-V2",
        "decode_context": "context", "decode_kv_heads": "kv heads", "decode_weights": "weights",
    }.items(),
)  # fmt: skip
def test_what_is_no_such_thing_is_noted_and_left_as_it_was(name: str, called: str, value: str) -> None:
    back, notes = CacheChoices.parse({name: value}, CacheChoices("x"))
    assert back == CacheChoices("x")
    assert notes == [f"The link's {called} isn't valid here; using the default."]


def test_rules_of_links() -> None:
    assert [whole(2, 9)(text) for text in ("2", " 9 ", "1", "10", "+3", "0x3", "3.0", "")] == [2, 9, *[None] * 6]
    assert among((True, False))("0") is False and among((True, False))("True") is None
    assert several(whole(0, 9), 3)("1.2") == (1, 2) and several(whole(0, 9), 3)("") == ()
    assert [several(whole(0, 9), 3)(text) for text in ("1.1", "1.2.3.4", "1..2", "a")] == [None] * 4
    assert [spelled(value) for value in ((1, 2), True, False, 3, "a")] == ["1.2", "1", "0", "3", "a"]
