"""The figures of a continuation: every cell, bar and point is a number of core's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headlight.core.decoding import Next
from headlight.viz.figures import cache_growth, candidate_bars, continuation_map

STEPS = [
    Next(i, f"t{i}", 0.5, 100 * (i + 1), (("a", 0.5), (f"t{i}", 0.25)), (torch.rand(2, 3 + i), torch.rand(2, 3 + i)))
    for i in range(4)
]
PIECES = ["x", "<b>y</b>", "z", *(step.text for step in STEPS)]


def test_every_row_is_the_row_that_was_watched_and_the_rest_is_blank() -> None:
    z = continuation_map(STEPS, PIECES, 1, 0).data[0].z
    assert z.shape == (4, 6)
    for i, step in enumerate(STEPS):
        assert np.allclose(z[i, : 3 + i], step.weights[1][0].numpy())
        assert np.isnan(z[i, 3 + i :]).all()


def test_rows_name_the_token_that_was_read_last_and_markup_stays_text() -> None:
    figure = continuation_map(STEPS, PIECES, 0, 0)
    assert figure.layout.yaxis.ticktext == ("1 · z", "2 · t0", "3 · t1", "4 · t2")
    assert "<b>" not in "".join(figure.layout.xaxis.ticktext)


def test_bars_are_the_candidates_and_the_chosen_one_stands_out() -> None:
    bars = candidate_bars(STEPS[2]).data[0]
    assert tuple(bars.x) == (0.5, 0.25)
    assert bars.marker.color[1] != bars.marker.color[0]


def test_points_are_bytes_held_and_lines_bytes_a_token() -> None:
    figure = cache_growth([300, 400], 3, {"MHA": 100, "MQA": 25}, room=64)
    *lines, points = figure.data
    assert [line.y[1] for line in lines] == [6400, 1600]
    assert (tuple(points.x), tuple(points.y)) == ((3, 4), (300, 400))
    assert figure.layout.yaxis.rangemode == "tozero"


@pytest.mark.parametrize("count", [1, 100])
def test_labels_stay_few_enough_to_read(count: int) -> None:
    steps = [STEPS[0]] * count
    figure = continuation_map(steps, PIECES * 40, 0, 0)
    assert len(figure.layout.yaxis.ticktext) <= 64 and len(figure.layout.xaxis.ticktext) <= 24
