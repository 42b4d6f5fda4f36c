"""Sinusoidal tables and ALiBi slopes against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from headlight.core.errors import ConfigError
from headlight.core.positions import ALiBi, Sinusoidal
from tests.core.variants import random


def test_the_sinusoidal_table_is_vaswanis_interleaved_one() -> None:
    table = Sinusoidal().table(torch.arange(13), 10, torch.float64)
    for pos in range(13):
        for j in range(5):
            angle = pos / 10_000 ** (2 * j / 10)
            assert table[pos, 2 * j] == pytest.approx(math.sin(angle), abs=1e-15)
            assert table[pos, 2 * j + 1] == pytest.approx(math.cos(angle), abs=1e-15)


def test_the_dot_product_of_two_sinusoidal_positions_depends_on_distance_alone() -> None:
    table = Sinusoidal().table(torch.arange(40), 26, torch.float64)
    products = table @ table.T
    for distance in (1, 5, 17):
        line = products.diagonal(distance)
        torch.testing.assert_close(line, line[:1].expand_as(line), rtol=0, atol=1e-12)


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"d_model \(7\) must be even"):
        Sinusoidal().at_input(random(3, 7), torch.arange(3))


@pytest.mark.parametrize(
    ("n_heads", "expected"),
    [
        (1, [1 / 256]),
        (2, [1 / 16, 1 / 256]),
        (6, [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]),
        (8, [2.0**-k for k in range(1, 9)]),
    ],
)
def test_alibis_slopes_are_the_papers(n_heads: int, expected: list[float]) -> None:
    assert ALiBi().slopes(n_heads).tolist() == pytest.approx(expected, abs=1e-15)


def test_alibi_takes_slope_times_distance_from_each_score() -> None:
    scores = random(2, 5, 7)
    biased = ALiBi().at_scores(scores, torch.arange(2, 7), torch.arange(7))
    for head, slope in enumerate((1 / 16, 1 / 256)):
        for q in range(5):
            for k in range(7):
                expected = scores[head, q, k].item() - slope * abs(q + 2 - k)
                assert biased[head, q, k].item() == pytest.approx(expected, abs=1e-14)
