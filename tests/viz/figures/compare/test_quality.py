"""The quality figure: one point a sibling, where its numbers say."""

from __future__ import annotations

import pytest

from headlight.core.analysis.sibling_quality import MEASURES, Quality, Score
from headlight.viz.figures import quality_map

FOUND = [
    Quality(f"{a}-{p}", f"{a.upper()} · {p}", a, p, 1000 + i, kept, 3, {"loss": Score(4.0 + i / 7, 0.01)})
    for i, (a, kept, p) in enumerate([("mha", 384, "rope"), ("gqa", 128, "rope"), ("mha", 384, "none")])
]


def test_every_sibling_is_a_point_at_its_bytes_and_its_score() -> None:
    figure = quality_map(FOUND, "loss", MEASURES["loss"])
    points = {(round(x / 100), y) for trace in figure.data for x, y in zip(trace.x, trace.y, strict=True)}
    assert {y for _, y in points} == {q.scores["loss"].value for q in FOUND}
    for trace in figure.data:
        for x, text in zip(trace.x, trace.text, strict=True):
            kept = next(q for q in FOUND if text.startswith(q.title + ":"))
            assert x == pytest.approx(kept.cached_bytes(), rel=0.04)
        assert tuple(trace.error_y.array) == (0.01,) * len(trace.x)


def test_levels_to_compare_with_are_drawn_and_named() -> None:
    figure = quality_map(FOUND, "loss", MEASURES["loss"], lines={"trigram": 4.5})
    assert figure.layout.shapes[0].y0 == figure.layout.shapes[0].y1 == 4.5
    assert "trigram: 4.500" in figure.layout.annotations[0].text


def test_the_chosen_sibling_is_named_in_the_picture() -> None:
    figure = quality_map(FOUND, "loss", MEASURES["loss"], chosen="gqa-rope")
    assert "GQA · rope" in figure.layout.annotations[-1].text
    assert figure.layout.annotations[-1].y == FOUND[1].scores["loss"].value


def test_a_measure_that_nobody_has_gives_an_empty_picture() -> None:
    assert len(quality_map(FOUND, "induction", MEASURES["induction"]).data) == 0
