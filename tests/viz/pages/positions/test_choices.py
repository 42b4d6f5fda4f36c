"""What is on the Positions page goes to the link and comes back; what a link asks for in vain is noted."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headlight.viz.pages.positions.choices import (
    LENGTHS,
    MOST,
    ORIGINALS,
    REACHES,
    ROTARY,
    SECTIONS,
    THETAS,
    UNITS,
    WIDTHS,
    Positions,
    moved,
)  # fmt: skip

PLACES, NUMBERS = st.none() | st.integers(0, MOST), st.none() | st.integers(0, 600)
CHOICES = st.builds(
    Positions, text=st.text(), section=st.sampled_from(list(SECTIONS)), width=st.sampled_from(WIDTHS),
    count=st.integers(2, 512), dims=st.lists(st.integers(0, 511), max_size=6, unique=True).map(tuple), at=st.integers(0, MOST),
    model=st.sampled_from(["smollm2", "gqa-rope", "unit"]), layer=NUMBERS, head=NUMBERS, query=NUMBERS, key=NUMBERS,
    q_at=PLACES, k_at=PLACES, together=st.booleans(), theta=st.sampled_from(THETAS), reach=st.sampled_from(REACHES),
    pair=st.none() | st.integers(0, 255), rotary=st.sampled_from(ROTARY), factor=st.integers(1, 64),
    original=st.sampled_from(ORIGINALS), length=st.sampled_from(LENGTHS), unit=st.sampled_from(list(UNITS)),
    learned=st.integers(8, 512), heads=st.integers(1, 64), head_alibi=st.integers(0, 63), layer_mla=st.integers(0, 9),
    head_mla=st.integers(0, 9), shift=st.integers(0, 500), attention=st.sampled_from(["mha", "gqa", "mqa", "mla"]),
    first=st.text(), second=st.text(),
)  # fmt: skip


@given(CHOICES)
def test_a_link_brings_back_the_choices_it_was_made_of(choices: Positions) -> None:
    assert Positions.parse(choices.link(), Positions(text="other")) == (choices, [])


def test_every_choice_has_a_place_in_the_link() -> None:
    values = {"text": "t", "dims": (1, 2), "together": True, "section": "mla", "unit": "wavelength", "attention": "mqa"}
    for field in fields(Positions):
        value = values.get(field.name, "32" if field.name in ("model", "first", "second") else 32)
        value = {"theta": 100, "rotary": 32, "original": 512, "length": 512}.get(field.name, value)
        back, notes = Positions.parse(Positions(**({"text": ""} | {field.name: value})).link(), Positions("x"))
        assert (getattr(back, field.name), notes) == (value, [])


@pytest.mark.parametrize("value", ["", "-1", "x", "1e3", "nan", "99999999999", "٣", "1.5", "<b>", "\x00"])
def test_what_is_no_such_thing_is_noted_and_left_as_it_was(value: str) -> None:
    bad = {f.name: value for f in fields(Positions) if f.name not in ("text", "model", "first", "second", "dims")}
    back, notes = Positions.parse(bad, Positions("x"))
    assert back == Positions("x") and len(notes) == len(bad)


@pytest.mark.parametrize("dims", ["1.1", "0.1.2.3.4.5.6", "a", "512", "1..2", "." * 10_000])
def test_dimensions_that_are_none_or_too_many_are_noted(dims: str) -> None:
    back, notes = Positions.parse({"dims": dims}, Positions("x"))
    assert back.dims == Positions("x").dims and len(notes) == 1


@given(st.integers(0, MOST), st.integers(0, MOST), st.sampled_from(["q_at", "k_at"]), st.integers(0, MOST))
def test_together_the_distance_stays_and_nobody_leaves_the_sliders(q: int, k: int, by: str, to: int) -> None:
    q_now, k_now = moved(q, k, by, to, together=True)
    assert q_now - k_now == q - k and min(q_now, k_now) >= 0 and max(q_now, k_now) <= MOST
    assert moved(q, k, by, to, together=False) == ((to, k) if by == "q_at" else (q, to))
