"""Bars and curves of memory: what is drawn is what core counts, and nobody's text is markup."""

from __future__ import annotations

import numpy as np
import pytest

from headlight.core.memory.deployment import CONTEXTS, Deployment
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.published import published
from headlight.core.memory.sizes import bytes_at, parts_at
from headlight.viz.figures import Bar, Line, memory_bars, memory_curves
from headlight.viz.pages.cache.sizing import bar
from headlight.viz.theme import DARK, LIGHT

CATALOGUE = published()
BF16 = PRECISIONS["bf16"]
SLUGS = ("gemma-3-27b", "deepseek-v4-pro", "deepseek-v3-671b", "llama-3-1-405b")


def plan(slug: str, context: int = 40_000, **more) -> Deployment:
    return Deployment(CATALOGUE[slug].shape, BF16, context, 3, **more)


def test_the_parts_of_a_bar_add_up_to_the_bytes_of_the_cache() -> None:
    figure = memory_bars([bar(plan(slug)) for slug in SLUGS], "Title", theme=LIGHT)
    drawn = np.sum([np.array(trace.x, dtype=float) for trace in figure.data], axis=0)
    assert drawn.tolist() == [bytes_at(CATALOGUE[slug].shape, 40_000, BF16, 3) for slug in SLUGS]
    kinds = {trace.name: list(trace.x) for trace in figure.data}
    assert kinds["keys"] == [parts_at(CATALOGUE[slug].shape, 40_000, BF16, 3).get("keys", 0) for slug in SLUGS]
    assert kinds["latent"][2] == 61 * 40_000 * 512 * 2 * 3 and kinds["rotated key"][2] * 8 == kinds["latent"][2]
    assert kinds["key = value"][1] > 0 and kinds["indexer"][1] > 0


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=CATALOGUE)
def test_parts_add_up_for_every_model(model) -> None:
    for kind in ("bf16", "q8_0", "q4_0"):
        parts = parts_at(model.shape, 12_345, PRECISIONS[kind], 7)
        assert sum(parts.values()) == bytes_at(model.shape, 12_345, PRECISIONS[kind], 7)
        assert min(parts.values()) >= 0


def test_what_is_reserved_is_drawn_beyond_what_is_needed_where_there_are_windows() -> None:
    bars = [bar(plan(slug, reserved=True)) for slug in SLUGS]
    assert [each.reserved is not None for each in bars] == [True, False, False, False]
    last = memory_bars(bars, "Title", theme=DARK).data[-1]
    assert (
        last.name == "reserved" and last.x[0] == 3 * 40_000 * 507_904 - bars[0].size and list(last.x[1:]) == [0, 0, 0]
    )


def test_each_bar_has_its_name_its_size_and_its_formula() -> None:
    texts = [note.text for note in memory_bars([bar(plan("llama-3-1-405b", 32_768))], "Title").layout.annotations]
    assert texts[0] == "<b>Llama 3.1 405B</b>  50.73 GB"
    assert texts[1].replace("<br>", " ") == "126 × 8 × (128 + 128) × 32,768 × 2 B × 3 = 50,734,301,184 B"


def test_rows_with_long_formulas_have_their_room() -> None:
    figure = memory_bars([bar(plan(slug)) for slug in SLUGS], "Title")
    ends = {note.yanchor: [] for note in figure.layout.annotations}
    for note in figure.layout.annotations:
        ends[note.yanchor].append((note.y, note.text.count("<br>") + 1))
    feet = [y + 14 * lines for y, lines in ends["top"]]
    assert all(foot < name - 16 for foot, (name, _) in zip(feet, ends["bottom"][1:], strict=False))


def test_no_title_is_markup() -> None:
    figure = memory_bars([Bar("<a href='x'>y</a> $z$", {"keys": 3}, "1 × <b>2</b>")], "Title")
    curves = memory_curves([1, 10], [Line("<b>$x$", [1, 2], 1)], 1, {}, "Title")
    for text in (figure.to_json(), curves.to_json()):
        assert "<a href" not in text and "<b>$x$" not in text and "<b>2" not in text and "$z$" not in text


def test_nothing_is_drawn_without_complaint() -> None:
    assert len(memory_bars([], "Title").data) == 0
    assert memory_bars([Bar("x", {}, "0")], "Title").layout.xaxis.range[1] > 0
    assert len(memory_curves([1, 10], [], 5, {}, "Title").data) == 1
    assert len(memory_curves([1, 10], [Line("none", [0, 0], 0)], 5, {"80 GB": 8e10}, "Title").data) == 2


def test_a_line_is_the_cache_and_faint_beyond_what_the_model_is_made_for() -> None:
    shape, total = CATALOGUE["gemma-3-27b"].shape, plan("gemma-3-27b", weights=27 * 10**9).total(CONTEXTS)
    figure = memory_curves(CONTEXTS, [Line("Gemma", total, 5.0, shape.max_context)], 40_000, {}, "Title")
    whole, faint, point = figure.data
    sizes = [27 * 10**9 + bytes_at(shape, n, BF16, 3) for n in CONTEXTS]
    within = np.array(CONTEXTS) <= 131_072
    np.testing.assert_array_equal(np.isnan(whole.y), ~within)
    np.testing.assert_array_equal(np.where(within, whole.y, faint.y), sizes)
    assert faint.y[int(within.sum()) - 1] == whole.y[int(within.sum()) - 1], "the two parts meet"
    assert list(point.x) == [40_000] and list(point.y) == [5.0]


def test_cards_are_levels_and_the_chosen_one_stands_out() -> None:
    levels = {f"{gpu} GB": gpu * 1e9 for gpu in (24, 40, 80, 96, 141, 192)}
    layout = memory_curves(
        [256, 10**6], [Line("x", [1e6, 1e12], 5.0)], 1000, levels, "T", chosen="96 GB", theme=LIGHT
    ).layout
    assert [shape.y0 for shape in layout.shapes[:6]] == list(levels.values())
    assert [shape.line.color == LIGHT.ink for shape in layout.shapes[:6]] == [False, False, False, True, False, False]
    assert layout.annotations[0].text == "96 GB", "the chosen one is named however close the others are"
    places = [(note.x, note.y) for note in layout.annotations]
    assert len(set(places)) == len(places)
