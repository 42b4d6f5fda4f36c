"""Where "93.3% less" comes from: the factors multiply to the published number, and 82.2% is what numbers alone give."""

from __future__ import annotations

import math

import pytest

from headlight.core.memory.claim import AFTER, BEFORE, PUBLISHED, fewer_numbers, less, steps
from headlight.core.memory.published import published
from headlight.core.memory.shape import of_heads
from headlight.core.memory.sizes import elements_per_token


def test_numbers_alone_are_82_2_percent_fewer() -> None:
    assert (elements_per_token(BEFORE), elements_per_token(AFTER)) == (194_560, 34_560)
    assert round(fewer_numbers(), 3) == 0.822


def test_with_6_bits_against_16_it_is_the_published_number() -> None:
    found = steps()
    assert round(less(found[0].bytes, found[-1].bytes), 3) == PUBLISHED


@pytest.mark.parametrize(("before", "after"), [(16, 6), (16, 16), (8, 4), (4, 16)])
def test_factors_multiply_to_the_whole(before: int, after: int) -> None:
    found = steps(before, after)
    whole = found[-1].bytes / found[0].bytes
    assert math.prod(step.by for step in found) == pytest.approx(whole)
    assert whole == pytest.approx(34_560 * after / (194_560 * before))


def test_equal_bits_leave_what_the_numbers_give() -> None:
    for each in (4, 8, 16):
        found = steps(each, each)
        assert less(found[0].bytes, found[-1].bytes) == pytest.approx(fewer_numbers())


def test_64_kv_heads_would_not_give_the_published_number() -> None:
    found = steps(before=of_heads(95, 64, 64, 128))
    assert less(found[0].bytes, found[-1].bytes) > 0.99
    assert found[0].bytes > 400e3 > steps()[0].bytes  # Figure 1b draws less than 400 KB a token


def test_both_models_are_those_of_the_catalogue() -> None:
    table = published()
    assert (table["deepseek-67b"].shape.groups, table["deepseek-v2-236b"].shape.groups) == (BEFORE.groups, AFTER.groups)
    assert table["deepseek-v2-236b"].shape.mla == AFTER.mla and not table["deepseek-67b"].verified
