"""Measures of heads against sums written out over whole maps."""

from __future__ import annotations

import math

import pytest
import torch

from headlight import run
from headlight.core.analysis.head_scores import MEASURES, ranked, survey
from headlight.core.types import Run

KEY = 2


@pytest.fixture(params=["minilm", "smollm2"])
def result(request, sentence) -> Run:
    return run(request.getfixturevalue(request.param), sentence)


def _by_hand(measure: str, row: list[float], query: int) -> float:
    match measure:
        case "weight":
            return row[KEY]
        case "previous":
            return row[query - 1] if query else math.nan
        case "first":
            return row[0] if query else math.nan
        case "entropy":
            return -sum(w * math.log2(w) for w in row if w > 0)
    raise AssertionError(f"{measure} is not tested here")


@pytest.mark.parametrize("measure", MEASURES)
def test_a_measure_of_one_query_is_what_it_says(result, measure):
    for query in (0, 1, 9, len(result.tokens) - 1):
        values = survey(result, measure, query, KEY)
        for layer in (0, 5):
            rows = result.layers[layer].weights[:, query].tolist()
            expected = [_by_hand(measure, row, query) for row in rows]
            assert values[layer].tolist() == pytest.approx(expected, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_measure_of_everyone_is_the_mean_over_the_queries_where_it_is_defined(result, measure):
    values = survey(result, measure, None, KEY)
    for layer in (0, 5):
        for head, rows in enumerate(result.layers[layer].weights.tolist()):
            each = [_by_hand(measure, row, query) for query, row in enumerate(rows)]
            defined = [value for value in each if not math.isnan(value)]
            assert float(values[layer, head]) == pytest.approx(sum(defined) / len(defined), abs=1e-5)


def test_a_survey_has_a_row_a_layer_and_a_column_a_head(result):
    shape = (len(result.layers), result.layers[0].n_heads)
    assert survey(result, "weight", 3, KEY).shape == survey(result, "entropy", None, KEY).shape == shape


def test_weights_are_between_0_and_1_and_entropy_ends_at_the_logarithm_of_the_tokens(result):
    for measure, most in (("weight", 1.0), ("previous", 1.0), ("first", 1.0), ("entropy", math.log2(17))):
        values = survey(result, measure, None, KEY)
        assert bool((values >= 0).all())
        assert bool((values <= most).all())


def test_the_first_token_has_no_previous_and_no_first_one_to_look_back_at(result):
    for measure in ("previous", "first"):
        assert bool(survey(result, measure, 0, KEY).isnan().all())
    assert not bool(survey(result, "weight", 0, KEY).isnan().any())


def test_it_is_layer_3_head_1_that_looks_most_at_animal(minilm, sentence):
    result = run(minilm, sentence)
    it, animal = result.tokens.pieces.index("it"), result.tokens.pieces.index("animal")
    layer, head, value = ranked(survey(result, "weight", it, animal), 1)[0]
    assert (layer, head, f"{value:.3f}") == (3, 1, "0.689")


def test_ranking_puts_the_highest_first_and_leaves_undefined_ones_out():
    values = torch.tensor([[0.2, float("nan"), 0.7], [0.0, 0.7, 0.1]])
    top = [(layer, head, round(value, 6)) for layer, head, value in ranked(values, 9)]
    assert top == [(0, 2, 0.7), (1, 1, 0.7), (0, 0, 0.2), (1, 2, 0.1), (1, 0, 0.0)]
    assert ranked(values, 1) == [(0, 2, pytest.approx(0.7))]
    assert ranked(torch.full((2, 3), float("nan")), 3) == []


def test_one_token_alone_has_no_entropy(smollm2):
    assert survey(run(smollm2, "a"), "entropy", None, 0).abs().max() == 0
