"""Figures of the KV-cache page: every number drawn is core's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headlight.core.measured.clock import Times
from headlight.core.measured.decode_timing import Timed
from headlight.core.measured.held import Held
from headlight.core.memory.claim import steps
from headlight.core.memory.decode_cost import ways
from headlight.core.memory.hardware import card, cards
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.published import published
from headlight.core.memory.shape import of_heads
from headlight.viz.figures import claim_steps, cost_bars, held_and_reserved, held_growth, roofline, step_times
from headlight.viz.figures.cache.costs import Point, colours
from headlight.viz.theme import DARK, LIGHT

V3 = published()["deepseek-v3-671b"].shape
THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


def points(context: int = 4096) -> list[Point]:
    costs = {name: (way, way.cost(context)) for name, way in ways(V3, 8).items()}
    return [Point(name, way.title, cost.operations(), cost.traffic()) for name, (way, cost) in costs.items()]


@THEMES
def test_every_way_stands_on_the_roof_at_its_intensity(theme) -> None:  # type: ignore[no-untyped-def]
    h100 = card("h100")
    figure = roofline(points(), h100, others=list(cards().values()), theme=theme)
    drawn = {trace.name: (trace.x[0], trace.y[0]) for trace in figure.data if trace.mode == "markers"}
    assert drawn == {point.title: (point.intensity, h100.roof(point.intensity)) for point in points()}
    assert {trace.marker.color for trace in figure.data if trace.mode == "markers"} == set(colours(theme).values())


def test_roofs_bend_at_the_ridge_and_the_chosen_one_is_drawn_once() -> None:
    figure = roofline(points(), card("a100"), others=list(cards().values()))
    faint, chosen = (trace for trace in figure.data if trace.mode == "lines")
    assert (chosen.x[1], chosen.y[1], chosen.y[2]) == (312e12 / 2039e9, 312e12, 312e12)
    assert chosen.y[0] == pytest.approx(chosen.x[0] * 2039e9)
    assert "A100 80 GB SXM" not in faint.text and len(set(faint.text)) == len(cards()) - 1


def test_axes_hold_every_point() -> None:
    for each in cards().values():
        figure = roofline(points(), each)
        for trace in figure.data:
            if trace.mode == "markers":
                assert figure.layout.xaxis.range[0] < np.log10(trace.x[0]) < figure.layout.xaxis.range[1]
                assert figure.layout.yaxis.range[0] < np.log10(trace.y[0]) < figure.layout.yaxis.range[1]


@THEMES
def test_bars_are_bytes_and_operations(theme) -> None:  # type: ignore[no-untyped-def]
    figure = cost_bars(points(), theme=theme)
    assert list(figure.data[0].x) == [point.traffic for point in points()]
    assert list(figure.data[1].x) == [point.operations for point in points()]
    assert figure.data[0].text[4] == "4.719 MB" and figure.data[1].text[4] == "1.141 GFLOP"
    assert list(figure.layout.yaxis.ticktext) == [point.title for point in points()]


@THEMES
def test_the_steps_of_the_claim_are_bars_and_ghosts(theme) -> None:  # type: ignore[no-untyped-def]
    found = steps()
    kept, taken = claim_steps(found, theme=theme).data
    assert list(kept.x) == [389_120, 245_760, 69_120, 25_920]
    assert [a + b for a, b in zip(kept.x[1:], taken.x[1:], strict=True)] == list(kept.x[:-1])


def test_a_step_that_adds_has_no_ghost() -> None:
    kept, taken = claim_steps(steps(4, 16)).data
    assert kept.x[3] > kept.x[2] and taken.x[3] == 0


def held(name: str, kv_heads: int, sizes: tuple[int, ...] = (96, 192, 288)) -> Held:
    shape = of_heads(1, 6, kv_heads, 4)
    return Held(name, f"<b>{name}</b>", shape, PRECISIONS["fp32"], sizes, (384,) * len(sizes), ((),) * len(sizes))


@THEMES
def test_points_are_what_was_held_and_lines_what_the_formula_says(theme) -> None:  # type: ignore[no-untyped-def]
    # The second GQA holds more than its formula: that has to be seen.
    found = [held("a", 3), replace(held("b", 3), held=(100, 200, 300)), held("c", 1, (32, 64))]
    kinds = {"a": ("gqa", "rope"), "b": ("gqa", "none"), "c": ("mqa", "rope")}
    figure = held_growth(found, kinds, at=2, theme=theme)
    lines = {trace.name: list(trace.y) for trace in figure.data if trace.mode == "lines"}
    assert lines == {"GQA, formula": [96, 192, 288], "MQA, formula": [32, 64]}
    gqa, mqa = (trace for trace in figure.data if trace.mode == "markers")
    assert list(gqa.y) == [96, 192, 288, 100, 200, 300] and list(gqa.x) == [1, 2, 3, 1, 2, 3]
    assert len(set(gqa.marker.symbol)) == 2 and list(mqa.y) == [32, 64]
    assert figure.layout.shapes[0].x0 == 2


def test_a_title_never_becomes_markup() -> None:
    figure = held_growth([held("a", 3)], {"a": ("gqa", "rope")})
    assert "<b>" not in figure.to_json(validate=False).replace("\\u003c", "<")
    assert "<b>" not in held_and_reserved(held("a", 3)).layout.title.text


def test_held_lies_below_what_is_reserved() -> None:
    reserved, line, points = held_and_reserved(held("a", 3)).data
    assert list(reserved.y) == [384] * 3 and list(line.y) == list(points.y) == [96, 192, 288]


@THEMES
def test_times_are_medians_with_quartiles(theme) -> None:  # type: ignore[no-untyped-def]
    rows = [
        Timed("mha", "MHA", context, 1, Times(tuple(0.001 * context * each for each in (1, 2, 3, 4, 9))))
        for context in (8, 16)
    ] + [Timed("absorbed", "MLA absorbed", context, 1, Times((0.5,))) for context in (8, 16)]
    mha, absorbed = step_times(rows, theme=theme).data
    np.testing.assert_allclose(mha.y, [24, 48])
    np.testing.assert_allclose(mha.error_y.array, [8, 16])
    np.testing.assert_allclose(mha.error_y.arrayminus, [8, 16])
    assert list(absorbed.x) == [8, 16] and list(absorbed.error_y.array) == [0, 0]
    assert (mha.line.color, absorbed.line.color) == (theme.query, theme.latent)
