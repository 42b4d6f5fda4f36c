"""The figures of the Positions page show the numbers they were given, and say in words what they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headlight.core.lessons import penalty, rotation, tables
from headlight.viz.figures import curves, dials, dimension_bars, pairings, signed_map
from headlight.viz.figures.positions.dials import COLUMNS, short
from headlight.viz.figures.positions.maps import thinned
from headlight.viz.theme import DARK, LIGHT

QK = rotation.unit(22, 50.0)


def drawn_dials(q_at: int = 9, k_at: int = 2, **more):
    q, k = (t.numpy() for t in QK.turned(q_at, k_at))
    return dials(q, k, tables.wavelengths(22, 50.0).numpy(), QK.by_pair(q_at, k_at).numpy(), "eleven pairs", **more)


def test_each_dials_colour_is_what_its_pair_adds_and_places_without_a_pair_are_blank() -> None:
    figure = drawn_dials()
    cells = figure.data[0].z
    assert cells.shape == (2, COLUMNS)
    np.testing.assert_allclose(cells.ravel()[:11], QK.by_pair(9, 2).numpy(), atol=1e-7)
    assert np.isnan(cells.ravel()[11:]).all()
    assert figure.data[0].zmax == pytest.approx(float(QK.by_pair(9, 2).abs().max()))


def test_each_hand_points_where_its_pair_does_anticlockwise_from_the_right() -> None:
    figure = drawn_dials()
    for trace, tips in zip(figure.data[2:4], QK.turned(9, 2), strict=True):
        x, y = (np.array(axis).reshape(11, 3) for axis in (trace.x, trace.y))
        assert np.isnan(x[:, 2]).all() and np.isnan(y[:, 2]).all()
        angle = np.arctan2(-(y[:, 1] - y[:, 0]), x[:, 1] - x[:, 0])
        np.testing.assert_allclose(angle, np.arctan2(tips[:, 1], tips[:, 0]).numpy(), atol=1e-4)
        np.testing.assert_allclose(np.hypot(x[:, 1] - x[:, 0], y[:, 1] - y[:, 0]), 0.34, atol=1e-5)
    assert [trace.name for trace in figure.data[2:4]] == ["query", "key"]


def test_dials_are_labelled_with_their_wavelengths_and_the_chosen_one_is_outlined() -> None:
    figure = drawn_dials(chosen=9)
    assert figure.data[4].text[0] == "6.28" and len(figure.data[4].text) == 11
    outline = figure.layout.shapes[0]
    assert (round(outline.x0 + 0.48), round(outline.y0 + 0.48)) == (1, 1)
    assert drawn_dials(chosen=None).layout.shapes == drawn_dials(chosen=11).layout.shapes == ()


def test_wavelengths_are_short() -> None:
    assert [short(w) for w in (6.2832, 62.83, 628.3, 1234.0, 47117.0, 471170.0, 2.5e6)] == [
        "6.28", "62.8", "628", "1.23k", "47.1k", "471k", "2.5M",
    ]  # fmt: skip


def test_curves_are_the_numbers_and_gaps_stay_gaps() -> None:
    x, y = np.arange(5), np.array([1.0, 2.0, np.nan, 4.0, 0.5])
    figure = curves(
        x, {"a": y, "b": 2 * y}, "title", axes=("distance", "score"), at={"now": (3.0, 4.0)}, marks={"here": 2.0}
    )
    np.testing.assert_array_equal(figure.data[0].y, y)
    np.testing.assert_array_equal(figure.data[1].y, 2 * y)
    assert (figure.data[2].x[0], figure.data[2].y[0]) == (3.0, 4.0)
    assert figure.layout.shapes[0].x0 == 2.0 and figure.layout.annotations[0].text == "here"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("distance", "score")


def test_log_axes_have_few_ticks_and_marks_stand_at_their_logarithm() -> None:
    y = np.array([1e-15, 1e-3, 10.0])
    figure = curves(np.array([1, 10, 100]), {"a": y}, "t", axes=("x", "y"), log=(True, True), marks={"m": 10.0})
    assert figure.layout.yaxis.dtick == 3 and figure.layout.annotations[0].x == 1.0
    assert curves(np.arange(2), {"a": np.zeros(2)}, "t", axes=("x", "y"), log=(False, True)).layout.yaxis.dtick == 1


def test_more_lines_than_colours_differ_in_their_dashes() -> None:
    figure = curves(np.arange(2), {str(i): np.ones(2) for i in range(8)}, "t", axes=("x", "y"))
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data}) == 8


def test_a_signed_map_is_the_numbers_with_no_colour_for_none() -> None:
    values = penalty.bias(3, 5)[1].numpy()
    figure = signed_map(values, "bias", axes=("key", "query"), legend="added")
    np.testing.assert_allclose(figure.data[0].z, values.astype(np.float32), equal_nan=True)
    assert figure.data[0].zmax == -figure.data[0].zmin == pytest.approx(np.nanmax(np.abs(values)))
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first row on top
    assert figure.layout.plot_bgcolor == LIGHT.faint


def test_a_map_of_nothing_still_draws() -> None:
    for values in (np.zeros((2, 2)), np.full((2, 2), np.nan), np.zeros((1, 1))):
        figure = signed_map(values, "t", axes=("x", "y"), legend="l", theme=DARK)
        assert figure.data[0].zmax == 1.0


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (128, 128), (129, 65), (512, 128)])
def test_large_maps_show_every_nth_row_from_the_first(count: int, shown: int) -> None:
    rows = thinned(count)
    assert len(rows) == shown and rows[0] == 0 and (np.diff(rows) == -(-count // 128)).all()


def test_bars_part_dimensions_with_and_without_position_by_colour() -> None:
    figure = dimension_bars(np.array([0, 0, 0.5, 0.25]), 2, "moved")
    np.testing.assert_array_equal(figure.data[0].y, [0, 0, 0.5, 0.25])
    assert figure.data[0].marker.color == (LIGHT.latent, LIGHT.latent, LIGHT.position, LIGHT.position)
    assert [shape.x1 for shape in figure.layout.shapes] == [1.5, 3.5]


def test_pairings_show_each_dimensions_pair() -> None:
    layouts = {name: rotation.pair_numbers(6, name).numpy() for name in ("half", "interleaved")}
    figure = pairings(layouts, "pairs")
    np.testing.assert_array_equal(figure.data[0].z, [[0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 2, 2]])
    assert figure.layout.yaxis.ticktext == ("half", "interleaved")
    assert pairings({"one": torch.zeros(2).long().numpy()}, "one pair").data[0].zmax == 1
