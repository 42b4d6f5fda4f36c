"""The measuring sticks: trigrams against a plain count, scores of heads on planted weights, pronouns as they are published."""

from __future__ import annotations

from collections import Counter, defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from headlight.core.errors import TrainingError
from training import evaluate, ship
from training.measures import heads, pronouns
from training.measures.trigram import Trigram

V = 7


def some_rows(rows: int, length: int, seed: int) -> np.ndarray:
    """Tokens 1 to V-1, unevenly frequent; 0 is START."""
    weights = np.arange(1, V, dtype=float)
    return np.random.default_rng(seed).choice(np.arange(1, V), (rows, length), p=weights / weights.sum())


def plain_kneser_ney(rows: np.ndarray):
    """p(c | a b) by the book, on dictionaries."""
    three = Counter((a, b, c) for row in rows.tolist() for a, b, c in zip([0, 0, *row], [0, *row], row, strict=False))
    two = Counter((b, c) for _, b, c in three)
    one = Counter((c,) for _, c in two)

    def probability(counts: Counter, gram: tuple[int, ...], lower: float) -> float:
        of = Counter(counts.values())
        discount = of[1] / (of[1] + 2 * of[2]) if of[1] else 0.5
        following = defaultdict(list)
        for key, count in counts.items():
            following[key[:-1]].append(count)
        seen = following[gram[:-1]]
        if not seen:
            return lower
        return (max(counts[gram] - discount, 0) + discount * len(seen) * lower) / sum(seen)

    def p(a: int, b: int, c: int) -> float:
        return probability(three, (a, b, c), probability(two, (b, c), probability(one, (c,), 1 / V)))

    return p


def test_trigrams_are_kneser_neys():
    read, judged = some_rows(5, 8, seed=0), some_rows(3, 8, seed=1)
    p = plain_kneser_ney(read)
    expected = [
        [-np.log(p(*gram)) for gram in zip([0, 0, *row], [0, *row], row, strict=False)] for row in judged.tolist()
    ]
    np.testing.assert_allclose(Trigram.learn(read, V).losses(judged), expected, rtol=1e-12)


def test_the_probabilities_of_all_next_tokens_add_up_to_one():
    trigram = Trigram.learn(some_rows(5, 8, seed=0), V)
    for context in ([1, 2], [6, 6], [0, 3], [1, 1]):
        ends = np.array([[*context, token] for token in range(V)])
        assert np.exp(-trigram.losses(ends)[:, 2]).sum() == pytest.approx(1.0, abs=1e-12)


def planted(weights: torch.Tensor) -> SimpleNamespace:
    """A run with one layer of one head."""
    rows = lambda layer, queries: weights[None, queries]  # noqa: E731
    return SimpleNamespace(layers=type("Layers", (dict,), {"rows": staticmethod(rows)})({0: None}))


def test_induction_is_the_weight_on_what_followed_the_earlier_occurrence():
    length = 1 + 2 * heads.REPEATED
    ids = [0, *range(1, heads.REPEATED + 1), *range(1, heads.REPEATED + 1)]
    weights = torch.zeros(length, length)
    for query in range(1 + heads.REPEATED, length):
        earlier = ids.index(ids[query])
        weights[query, earlier + 1] = 0.75
    assert heads._to_successor(planted(weights)).tolist() == [[0.75]]


def test_a_head_is_chosen_on_one_half_and_scored_on_the_other(monkeypatch):
    right = {"a": [[1, 1, 0]], "b": [[1, 1, 0]], "c": [[1, 0, 1]], "d": [[0, 1, 1]], "e": [[0, 1, 1]]}
    monkeypatch.setattr(pronouns, "_right", lambda model, item: torch.tensor(right[item.text], dtype=torch.bool))
    items = [pronouns.Item(text, (0, 1), ((0, 1), (0, 1)), 0, text in "abc") for text in right]
    found = pronouns.best_head(None, items)
    assert (found.layer, found.head, found.chosen, found.accuracy, found.items) == (0, 0, 1.0, 0.0, 2)


def test_the_pronoun_sets_are_read_whole_and_halved():
    sets = pronouns.read(evaluate.COREF)
    assert {name: len(items) for name, items in sets.items()} == {"winogender": 720, "winobias": 3081}
    for items in sets.values():
        assert 0.4 < sum(item.chosen_on for item in items) / len(items) < 0.6
        chosen, scored = ({item.text for item in items if item.chosen_on is side} for side in (True, False))
        assert len(chosen & scored) <= 6  # WinoBias itself has six sentences in both halves, of 3,081
        assert all(end <= item.pronoun[0] for item in items for _, end in item.candidates)
    told = next(
        item for item in sets["winobias"] if item.text.startswith("The developer argued with the designer because he")
    )
    assert [told.text[start:end] for start, end in told.candidates] == ["developer", "designer"]
    assert told.text[slice(*told.pronoun)] == "he" and told.answer == 0


def test_a_missing_pronoun_set_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"winogender\.jsonl cannot be read"):
        pronouns.read(tmp_path)


def test_a_loss_curve_is_means_over_equal_stretches():
    assert ship.curve([1.0, 3.0, 5.0, 7.0], points=2) == {"step": [2, 4], "nats_a_token": [2.0, 6.0]}
    assert ship.curve([1.0, 2.0], points=200) == {"step": [1, 2], "nats_a_token": [1.0, 2.0]}
    assert len(ship.curve([0.0] * 1001)["step"]) == ship.POINTS
