"""The numbers behind one cell multiply out, and the bars show them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headlight import run
from headlight.core.types import Run
from headlight.viz.figures.explore.derivation import MAX_NAMES, cell, row_bars, score_bars, value_bars
from headlight.viz.figures.summary import cell_sentence, head_sentence, strongest_key
from tests.viz.texts import HOSTILE

LAYER, HEAD, QUERY, KEY = 3, 7, 11, 2


@pytest.fixture(params=["minilm", "smollm2"])
def result(request, sentence) -> Run:
    return run(request.getfixturevalue(request.param), sentence)


def test_the_numbers_of_a_cell_multiply_out(result):
    trace = result.layers[LAYER]
    for query, key in ((QUERY, KEY), (0, 0), (len(result.tokens) - 1, QUERY), (KEY, KEY)):
        numbers = cell(trace, HEAD, query, key)
        assert float(numbers.q @ numbers.k) == pytest.approx(numbers.product, rel=1e-4, abs=1e-4)
        assert numbers.scale == pytest.approx(1 / math.sqrt(len(numbers.q)))
        assert numbers.product * numbers.scale == pytest.approx(numbers.score, rel=1e-5, abs=1e-5)
        assert numbers.bias == pytest.approx(0, abs=1e-5)
        assert math.exp(numbers.score - numbers.log_sum) == pytest.approx(numbers.weight, rel=1e-4, abs=1e-6)
        assert numbers.allowed
        seen = ~np.isnan(numbers.weights)
        values = trace.v[trace.kv_head(HEAD)].numpy()
        np.testing.assert_allclose(numbers.weights[seen] @ values[seen], numbers.mixed, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(numbers.v, values[key])


def test_the_numbers_of_a_cell_are_the_traces(result):
    trace, numbers = result.layers[LAYER], cell(result.layers[LAYER], HEAD, QUERY, KEY)
    assert numbers.weight == float(trace.weights[HEAD, QUERY, KEY])
    assert numbers.score == float(trace.scores[HEAD, QUERY, KEY])
    np.testing.assert_array_equal(numbers.q, trace.q[HEAD, QUERY].numpy())
    np.testing.assert_array_equal(numbers.k, trace.k[HEAD // (trace.n_heads // trace.n_kv_heads), KEY].numpy())
    np.testing.assert_array_equal(numbers.mixed, trace.heads[HEAD, QUERY].numpy())


def test_a_masked_part_of_the_row_is_blank_and_a_masked_cell_says_so(smollm2, sentence):
    numbers = cell(run(smollm2, sentence).layers[LAYER], HEAD, 4, 9)
    assert not numbers.allowed
    assert numbers.weight == 0
    for row in (numbers.scores, numbers.weights):
        np.testing.assert_array_equal(np.isnan(row), np.arange(len(row)) > 4)
    assert np.nansum(numbers.weights) == pytest.approx(1, abs=1e-5)


def test_the_bars_are_the_numbers(result):
    numbers = cell(result.layers[LAYER], HEAD, QUERY, KEY)
    shown = [bar.y for bar in score_bars(numbers).figure().data]
    for values, expected in zip(shown, (numbers.q, numbers.k, numbers.q * numbers.k), strict=True):
        np.testing.assert_array_equal(values, expected)
    assert float(shown[2].sum()) == pytest.approx(numbers.product, rel=1e-4, abs=1e-4)
    shown = [bar.y for bar in value_bars(numbers).figure().data]
    for values, expected in zip(shown, (numbers.v, numbers.weight * numbers.v, numbers.mixed), strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_the_row_is_shown_token_by_token_with_the_key_in_its_colour(result):
    numbers = cell(result.layers[LAYER], HEAD, QUERY, KEY)
    figure = row_bars(numbers, result, KEY).figure()
    for bar, row in zip(figure.data, (numbers.scores, numbers.weights), strict=True):
        np.testing.assert_array_equal(bar.y, row.astype(np.float32))
        colours = list(bar.marker.color)
        assert [i for i, colour in enumerate(colours) if colour != colours[0]] == [KEY]
    assert list(figure.layout.xaxis.tickvals) == list(range(len(result.tokens)))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup_in_the_row(smollm2, text):
    result = run(smollm2, text, layers=[LAYER])
    figure = row_bars(cell(result.layers[LAYER], HEAD, 0, 0), result, 0).figure()
    assert all(not set(label) & set("<>$") for label in figure.layout.xaxis.ticktext or ())
    assert {bar.hovertemplate for bar in figure.data} == {
        f"%{{x}}: %{{y:.4f}}<extra>{name}</extra>" for name in ("score", "weight")
    }


def test_a_long_row_is_numbered_instead_of_named(minilm):
    result = run(minilm, "street " * (MAX_NAMES + 5), layers=[LAYER])
    figure = row_bars(cell(result.layers[LAYER], 0, 1, 1), result, 1).figure()
    assert figure.layout.xaxis.ticktext is None


def test_a_cell_is_put_into_words(minilm, sentence):
    result = run(minilm, sentence)
    it, animal = result.tokens.pieces.index("it"), result.tokens.pieces.index("animal")
    assert cell_sentence(result, 3, 1, it, animal) == "“it” looks at “animal”: 0.689"
    assert head_sentence(result, 3, 1, it) == "Head 1 of layer 3: “it” looks mostly at “animal” (0.689)."
    assert strongest_key(result, 3, 1, it) == animal


def test_words_show_control_characters_and_cut_long_tokens(smollm2):
    result = run(smollm2, "a\n" + "-" * 64, layers=[0])
    newline = result.tokens.pieces.index("\n")
    assert "“↵”" in cell_sentence(result, 0, 0, newline, 0)
    assert len(cell_sentence(result, 0, 0, len(result.tokens) - 1, newline)) < 60
