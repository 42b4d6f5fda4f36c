"""What is on Inside MLA goes to the link and comes back; what a link asks for in vain is noted."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headlight.viz.pages.mla.choices import CONTEXTS, SECTIONS, SIDES, SIZES, InsideMLA

CHOICES = st.builds(
    InsideMLA, text=st.text(), section=st.sampled_from(list(SECTIONS)), model=st.sampled_from(["mla-rope", "mla-none"]),
    beside=st.sampled_from(["smollm2", "gqa-rope"]), layer=st.integers(0, 99), head=st.integers(0, 99),
    tensor=st.sampled_from(["q", "k_rope"]), side=st.sampled_from(SIDES), line=st.sampled_from(["z", "out"]),
    context=st.sampled_from(CONTEXTS), sizes=st.sampled_from(list(SIZES)), component=st.integers(0, 999), alone=st.booleans(),
)  # fmt: skip


@given(CHOICES)
def test_a_link_brings_back_the_choices_it_was_made_of(choices: InsideMLA) -> None:
    assert InsideMLA.parse(choices.link(), InsideMLA(text="other")) == (choices, [])


def test_every_choice_has_a_place_in_the_link() -> None:
    changed = {
        "text": "t", "section": "latent", "side": "beside", "context": 64, "sizes": "v3", "alone": True,
        "model": "x", "beside": "x", "tensor": "x", "line": "x",
    }  # fmt: skip
    for field in fields(InsideMLA):
        value = changed.get(field.name, 7)
        back, notes = InsideMLA.parse(InsideMLA(**({"text": ""} | {field.name: value})).link(), InsideMLA("x"))
        assert (getattr(back, field.name), notes) == (value, [])


@pytest.mark.parametrize("value", ["", "-1", "x", "1e3", "nan", "99999999999", "٣", "1.5", "<b>", "\x00"])
def test_what_is_no_such_thing_is_noted_and_left_as_it_was(value: str) -> None:
    free = ("text", "model", "beside", "tensor", "line")  # whether there is such a one is known once models are
    bad = {f.name: value for f in fields(InsideMLA) if f.name not in free}
    back, notes = InsideMLA.parse(bad, InsideMLA("x"))
    assert back == InsideMLA("x") and len(notes) == len(bad)
