"""Comparing heads: the distance against sums written out, common parts against the text, matches against a search."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from headlight import run
from headlight.core.analysis.compare import (
    CommonView,
    best_match,
    best_matches,
    common_parts,
    distance,
    jensen_shannon,
    pairs,
    read_alike,
    same_heads,
)
from headlight.core.errors import InputError
from headlight.core.types import Run, Tokens
from tests.core.checkpoints.tiny_sibling import tiny_sibling

LINE = "Tom didn't see the 🦊, but Anna's dogs did."
WIDTH = 5
distributions = st.lists(st.floats(0, 1), min_size=WIDTH, max_size=WIDTH).filter(lambda p: sum(p) > 1e-3)


def normal(numbers: list[float]) -> torch.Tensor:
    p = torch.tensor(numbers, dtype=torch.float64)
    return p / p.sum()


def by_hand(p: torch.Tensor, q: torch.Tensor) -> float:
    """Lin 1991, eq. 4.1, as two Kullback-Leibler divergences to the middle."""
    sides = [
        sum(x * math.log2(x / ((x + y) / 2)) for x, y in zip(one.tolist(), other.tolist(), strict=True) if x > 0)
        for one, other in ((p, q), (q, p))
    ]
    return math.sqrt(max(0.0, sum(sides) / 2))


@given(a=distributions, b=distributions)
def test_the_distance_is_the_root_of_lins_divergence_from_0_to_1(a, b):
    p, q = normal(a), normal(b)
    value = float(jensen_shannon(p, q))
    assert value == pytest.approx(by_hand(p, q), abs=3e-8)  # the root of float64's rounding
    assert 0 <= value <= 1
    assert float(jensen_shannon(q, p)) == pytest.approx(value, abs=1e-12)
    assert float(jensen_shannon(p, p)) == 0


@given(a=distributions, b=distributions, c=distributions)
def test_the_distance_is_a_metric(a, b, c):
    p, q, r = normal(a), normal(b), normal(c)
    assert float(jensen_shannon(p, r)) <= float(jensen_shannon(p, q)) + float(jensen_shannon(q, r)) + 1e-7


def test_distributions_that_share_nothing_are_1_apart():
    p, q = torch.eye(2, dtype=torch.float64)
    assert float(jensen_shannon(p, q)) == 1


@pytest.fixture(scope="module")
def runs(minilm, smollm2) -> list[Run]:
    return [run(minilm, LINE), run(smollm2, LINE)]


@pytest.fixture(scope="module")
def alike(minilm) -> list[Run]:
    """Three runs of one shape on the same tokens."""
    kinds = (("mha", "rope"), ("gqa", "none"), ("mla", "sinusoidal"))
    return [run(tiny_sibling(*kind, minilm.tokenizer, seed=i), LINE) for i, kind in enumerate(kinds)]


def test_with_the_same_tokens_the_parts_are_the_tokens_and_the_weights_the_traces(alike):
    names, readings = read_alike(alike)
    assert names == alike[0].tokens.pieces
    for each, reading in zip(alike, readings, strict=True):
        assert reading.members is None
        torch.testing.assert_close(reading.weights(1), each.layers[1].weights.double(), rtol=0, atol=1e-12)
        assert torch.equal(reading.mask(1), each.layers[1].mask)


def test_with_other_tokens_a_row_is_the_mean_and_a_cell_the_sum_over_tokens(runs):
    names, readings = read_alike(runs)
    assert names[:4] == ("Tom", "didn", "'t", "see")
    for each, reading in zip(runs, readings, strict=True):
        weights, pooled = each.layers[3].weights.double(), reading.weights(3)
        for i, looks in enumerate(reading.members):
            for j, at in enumerate(reading.members):
                by_sum = weights[:, looks][:, :, at].sum(-1).mean(-1)
                torch.testing.assert_close(pooled[:, i, j], by_sum, rtol=0, atol=1e-6)
                assert bool(reading.mask(3)[i, j]) == bool(each.layers[3].mask[looks][:, at].any())


def test_rows_on_parts_add_up_to_what_special_tokens_leave(runs):
    for each, reading in zip(runs, read_alike(runs)[1], strict=True):
        pooled = reading.weights(2)
        special = torch.tensor([not bool(column.any()) for column in reading.members.T])
        left = each.layers[2].weights.double()[:, :, special].sum(-1)
        rows = torch.stack([left[:, looks].mean(-1) for looks in reading.members], dim=1)
        torch.testing.assert_close(pooled.sum(-1), 1 - rows, rtol=0, atol=1e-5)
        torch.testing.assert_close(reading.outcomes(2).sum(-1), torch.ones_like(rows), rtol=0, atol=2e-5)
    assert [int((~reading.members.any(0)).sum()) for reading in read_alike(runs)[1]] == [2, 0]  # [CLS] and [SEP]


texts = st.text(min_size=1, max_size=30) | st.lists(
    st.sampled_from(["didn't", "cross ", "🦊", " ", "\n", "Straße", "x1y2", "שלום", "…", "\x00", "street,"]), min_size=1,
).map("".join)  # fmt: skip


@given(text=texts)
def test_a_part_is_whole_tokens_in_every_reading_and_tokens_are_in_one_part_at_most(minilm_and_smollm2, text):
    readings = _read(minilm_and_smollm2, text)
    try:
        names, members = common_parts(readings)
    except InputError as error:
        assert "no part of this text in common" in str(error)
        return
    for tokens, matrix in zip(readings, members, strict=True):
        assert matrix.shape == (len(names), len(tokens))
        assert bool((matrix.sum(0) <= 1).all()) and bool(matrix.any(1).all())
        for name, row in zip(names, matrix, strict=True):
            spans = [tokens.spans[i] for i in row.nonzero()[:, 0].tolist()]
            covered = tokens.text[min(s for s, _ in spans) : max(e for _, e in spans)]
            assert _solid(covered) in _solid(name)


def _solid(text: str) -> str:
    return "".join(c for c in text if not c.isspace())


def _read(models, text: str) -> list[Tokens]:
    try:
        return [model.tokenizer.encode(text) for model in models]
    except InputError:
        assume(False)
        raise


@pytest.fixture(scope="module")
def minilm_and_smollm2(minilm, smollm2):
    return minilm, smollm2


def test_no_smaller_parts_would_do(minilm, smollm2):
    readings = [model.tokenizer.encode("didn't 🦊 unbelievably") for model in (minilm, smollm2)]
    names, members = common_parts(readings)
    assert names[:3] == ("didn", "'t", "🦊")
    assert "".join(names[3:]) == "unbelievably"
    assert int(members[0][names.index("'t")].sum()) == 2


def test_other_texts_are_refused(minilm):
    with pytest.raises(InputError, match="same text"):
        read_alike([run(minilm, "one"), run(minilm, "two")])


def test_the_distance_of_two_heads_is_the_mean_over_rows(alike):
    first, other = read_alike(alike)[1][:2]
    rows = zip(alike[0].layers[2].weights[1], alike[1].layers[0].weights[3], strict=True)
    by_rows = [by_hand(p, q) for p, q in rows]
    assert distance(first, (2, 1), other, (0, 3)) == pytest.approx(sum(by_rows) / len(by_rows), abs=1e-6)


def test_a_model_is_at_no_distance_from_itself(alike, runs):
    for each in (alike[0], runs[0]):
        reading = CommonView(each)
        assert float(same_heads(reading, reading).max()) < 1e-7
        match = best_match(reading, (2, 3), reading)
        assert (match.layer, match.head, match.distance) == (2, 3, pytest.approx(0, abs=1e-7))


def test_the_best_match_is_the_nearest_of_all_heads(runs):
    first, other = read_alike(runs)[1]
    match = best_match(first, (3, 1), other)
    every = {(i, j): distance(first, (3, 1), other, (i, j)) for i in range(0, 30, 3) for j in range(9)}
    assert match.distance == pytest.approx(distance(first, (3, 1), other, (match.layer, match.head)), abs=1e-9)
    assert match.distance <= min(every.values()) + 1e-9


def test_all_matches_and_all_same_heads_are_those_found_one_by_one(alike):
    first, _, other = read_alike(alike)[1]
    values, matches = same_heads(first, other), best_matches(first, other)
    assert values.shape == first.shape == (3, 4)
    assert pairs(first, other) == 12 * 12 * len(alike[0].tokens) * (len(alike[0].tokens) + 1)
    for layer in range(3):
        for head in range(4):
            place = (layer, head)
            assert float(values[layer, head]) == pytest.approx(distance(first, place, other, place), abs=1e-12)
            assert matches[layer][head] == best_match(first, place, other)


def test_same_heads_of_models_of_other_shapes_are_refused_with_the_shapes(runs):
    with pytest.raises(InputError, match="minilm has 6 layers of 12 heads, smollm2 has 30 layers of 9 heads"):
        same_heads(*read_alike(runs)[1])
