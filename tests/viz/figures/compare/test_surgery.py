"""Figures of surgery: bars are distances, points are what was measured, the setting on screen is ringed."""

from __future__ import annotations

import numpy as np

from headlight.viz.figures import Curve, head_bars, surgery_curve
from headlight.viz.theme import DARK, LIGHT

CURVES = [
    Curve("Latent by SVD", [1000.0, 2000.0], [90.0, 60.0], ["rank 5: 90", "rank 10: 60"]),
    Curve("<b>Mean</b>", [500.0], [300.0], ["1 KV head: 300"]),
]


def test_a_bar_is_a_heads_distance_and_the_chosen_one_stands_out():
    distances = np.array([0.1, 0.52, 0.07])
    figure = head_bars(distances, "Heads", chosen=1, theme=LIGHT)
    bars, cells = figure.data
    np.testing.assert_allclose(bars.y, distances, rtol=1e-6)
    assert list(bars.marker.color) == [LIGHT.muted, LIGHT.query, LIGHT.muted]
    np.testing.assert_allclose(cells.z, distances[None], rtol=1e-6)
    assert cells.opacity == 0 and figure.layout.yaxis.range[1] >= 0.52


def test_small_distances_do_not_fill_the_picture():
    assert head_bars(np.array([1e-7, 0.0]), "Heads").layout.yaxis.range[1] == 0.1


def test_a_point_is_what_was_measured_at_its_bytes():
    figure = surgery_curve(CURVES, "perplexity", log=True, own=(4000.0, 50.0), here=(2000.0, 60.0), theme=DARK)
    first, second, own, here = figure.data
    assert (list(first.x), list(first.y)) == ([1000.0, 2000.0], [90.0, 60.0])
    assert list(first.text) == ["rank 5: 90", "rank 10: 60"]
    assert second.name == "&lt;b&gt;Mean&lt;/b&gt;"
    assert (own.name, own.x[0], own.y[0]) == ("as trained", 4000.0, 50.0)
    assert (here.name, here.x[0], here.y[0], here.marker.symbol) == ("on screen", 2000.0, 60.0, "circle-open")
    assert figure.layout.yaxis.type == "log" and figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.tickvals) == [500.0, 1000.0, 2000.0, 4000.0]


def test_without_marks_there_are_lines_alone():
    figure = surgery_curve(CURVES[:1], "cosine", log=False)
    assert len(figure.data) == 1 and figure.layout.yaxis.type == "linear"
    assert surgery_curve([], "cosine", log=False).data == ()
