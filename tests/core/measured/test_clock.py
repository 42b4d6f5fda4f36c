"""Rounds alternate, warm ones are not counted, the budget ends them, and medians are medians."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from headlight.core.errors import ConfigError
from headlight.core.measured.clock import WARM, Times, alternate


def test_steps_alternate_and_warm_rounds_are_not_counted() -> None:
    order, entered = [], []

    @contextmanager
    def alone():
        entered.append(len(order))
        yield

    def step(name: str):
        return lambda: order.append(name) or torch.zeros(1)

    found = alternate({"a": step("a"), "b": step("b")}, rounds=5, budget=60.0, alone=alone)
    assert order == ["a", "b"] * (WARM + 5)
    assert entered == list(range(0, 2 * (WARM + 5), 2)), "what is alone is one round"
    assert [len(times.seconds) for times in found.values()] == [5, 5]
    assert all(second >= 0 for times in found.values() for second in times.seconds)


def test_a_spent_budget_ends_it_after_one_counted_round() -> None:
    found = alternate({"a": lambda: torch.zeros(1)}, rounds=1000, budget=0.0)
    assert len(found["a"].seconds) == 1


def test_median_and_middle_half_are_of_the_rounds() -> None:
    times = Times((9.0, 1.0, 3.0, 7.0, 5.0))
    assert (times.median, times.middle_half) == (5.0, (3.0, 7.0))
    assert (Times((2.0,)).median, Times((2.0,)).middle_half) == (2.0, (2.0, 2.0))


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"rounds \(0\) must be 1 or more"):
        alternate({}, rounds=0)
