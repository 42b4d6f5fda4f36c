"""Profiles are what counting in the whole matrix gives; experiments beyond the trained length move positions alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headlight import load_model, run
from headlight.core.errors import InputError
from headlight.core.long import beyond
from headlight.core.long.beyond import Gap, by_position, losses, over_gaps, scaled
from headlight.core.long.profile import FAR, LOCAL, SCORES, SINKS, binned, profile, scores, spread, uniform
from headlight.core.positions import RoPE
from headlight.core.positions.scaling import Linear, Yarn
from tests.core.attention.windows import windowed
from tests.core.long.test_pooling import long_layer

LENGTH = 331
IDS = [(7 * i * i + i // 5) % 23 for i in range(LENGTH)]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("some", [False, True])
def test_a_profile_is_counted_pair_by_pair(causal: bool, some: bool) -> None:
    gqa, p = long_layer(LENGTH, causal=causal)
    weights = gqa.rows(p, slice(None))
    queries = torch.tensor([0, 5, 130, 131, 300, 330]) if some else torch.arange(LENGTH)
    made = profile(gqa, p, IDS, queries if some else None)
    first, near, far, copied = (torch.zeros(6, len(queries), dtype=torch.float64) for _ in range(4))
    by_distance, pairs = torch.zeros(6, LENGTH, dtype=torch.float64), torch.zeros(LENGTH, dtype=torch.int64)
    for i, t in enumerate(queries.tolist()):
        found = [u for u in range(1, t + 1) if IDS[u - 1] == IDS[t]]
        copied[:, i] = weights[:, t, found].sum(-1) if found else torch.nan
        first[:, i] = weights[:, t, 0]
        for u in range(t + 1 if causal else LENGTH):
            distance = abs(t - u)
            near[:, i] += weights[:, t, u] * (distance < LOCAL)
            far[:, i] += weights[:, t, u] * (distance > FAR and u >= SINKS)
            by_distance[:, distance] += weights[:, t, u]
            pairs[distance] += 1
    if not causal:
        pairs[1:] = made.pairs[1:]  # counted in pairs below
    close = {"rtol": 0, "atol": 1e-12, "equal_nan": True}
    for name, expected in {
        "first": first,
        "near": near,
        "far": far,
        "copied": copied,
        "by_distance": by_distance,
    }.items():
        torch.testing.assert_close(getattr(made, name), expected, **close)
    assert torch.equal(made.pairs, pairs)


def test_both_ways_a_distance_has_a_key_on_each_side() -> None:
    gqa, p = long_layer(LENGTH, causal=False)
    made = profile(gqa, p, IDS)
    expected = torch.tensor([LENGTH] + [2 * (LENGTH - d) for d in range(1, LENGTH)])
    assert torch.equal(made.pairs, expected)


def test_a_window_sees_nothing_far() -> None:
    gqa, p = long_layer(LENGTH)
    made = profile(windowed(gqa, 9), p, IDS)
    assert not made.far.any() and not made.by_distance[:, 9:].any()
    torch.testing.assert_close(made.near, torch.ones_like(made.near), rtol=0, atol=1e-12)


def test_bins_hold_the_mean_over_their_pairs() -> None:
    gqa, p = long_layer(LENGTH)
    made = profile(gqa, p, IDS)
    middle, means = binned(made.by_distance, made.pairs)
    assert float(middle[0]) == 1 and bool((middle.diff() > 0).all())
    torch.testing.assert_close(means[:, 0], made.by_distance[:, 1] / (LENGTH - 1), rtol=0, atol=1e-12)
    assert float(middle[-1]) < LENGTH


def test_a_head_that_looks_at_all_alike_has_the_uniform_curve() -> None:
    gqa, p = long_layer(LENGTH)
    flat = profile(gqa, replace(p, q=torch.zeros_like(p.q)), IDS)
    torch.testing.assert_close(flat.by_distance / flat.pairs, uniform(flat).expand(6, -1), rtol=0, atol=1e-12)


def test_scores_are_means_over_the_queries_they_are_defined_for() -> None:
    gqa, p = long_layer(LENGTH)
    made = profile(gqa, p, IDS)
    found = dict(zip(SCORES, scores(made), strict=True))
    torch.testing.assert_close(found["first"], made.first[:, 1:].mean(-1))
    torch.testing.assert_close(found["far"], made.far[:, FAR + SINKS + 1 :].mean(-1))
    torch.testing.assert_close(found["copied"], made.copied.nanmean(-1))
    short = scores(profile(*long_layer(20), IDS[:20]))
    assert bool(short[list(SCORES).index("far")].isnan().all())


def test_the_heads_that_copy_are_found_on_a_repeated_passage(smollm2) -> None:
    tokens = smollm2.tokens("The king of the mountain gave seven golden apples to a poor old fisherman. " * 6)
    result = run(smollm2, tokens, layers=[17, 18])
    found = {layer: profile(smollm2.attention, result.layers.projections(layer), tokens.ids) for layer in (17, 18)}
    copying = {layer: scores(made)[list(SCORES).index("copied")] for layer, made in found.items()}
    assert float(copying[18][6]) > 0.5 and float(copying[17][3]) > 0.5
    assert float(copying[18][0]) < 0.2


@pytest.mark.parametrize(("length", "most"), [(10, 4), (10, 10), (10, 50), (8191, 512), (7, 1)])
def test_spread_queries_are_different_tokens_up_to_the_last(length: int, most: int) -> None:
    chosen = spread(length, most)
    assert len(chosen) == min(length, most) == len(set(chosen.tolist())) and int(chosen[-1]) == length - 1
    assert int(chosen.min()) >= 0


@pytest.mark.parametrize(
    ("ids", "queries", "says"),
    [
        (IDS[:-1], None, "330 ids were given for 331 keys"),
        (IDS, torch.tensor([331]), "queries must be some of tokens 0 to 330"),
        (IDS, torch.tensor([], dtype=torch.int64), "queries must be some of tokens 0 to 330"),
    ],
)
def test_what_cannot_be_profiled_is_refused(ids, queries, says: str) -> None:
    gqa, p = long_layer(LENGTH)
    with pytest.raises(InputError, match=says):
        profile(gqa, p, ids, queries)


def test_losses_are_those_of_the_models_own_logits() -> None:
    model = load_model("gqa-rope", "cpu")
    tokens = model.tokens("Once upon a time there was a king who had a daughter.")
    logits = run(model, tokens, layers=[]).logits
    expected = -logits[:-1].log_softmax(-1).gather(1, torch.tensor(tokens.ids[1:])[:, None])[:, 0]
    torch.testing.assert_close(losses(model, tokens.ids), expected, rtol=0, atol=1e-4)


def test_a_gap_moves_the_second_part_and_nothing_else() -> None:
    rope, t, pos = RoPE(10), torch.randn(3, 9, 10, dtype=torch.float64), torch.arange(9)
    moved = Gap(rope, 4, 1000).at_qk(t, pos)
    torch.testing.assert_close(moved[:, :4], rope.at_qk(t, pos)[:, :4])
    torch.testing.assert_close(moved[:, 4:], rope.at_qk(t[:, 4:], pos[4:] + 1000), rtol=0, atol=1e-12)
    torch.testing.assert_close(Gap(rope, 4, 0).at_qk(t, pos), rope.at_qk(t, pos))


def test_without_a_gap_the_second_reading_is_a_plain_run() -> None:
    model = load_model("gqa-rope", "cpu")
    ids = model.tokens("Once upon a time there was a king.").ids
    found, first = over_gaps(model, ids, [0, 500], 4.0)
    plain = losses(model, [*ids, *ids])
    assert float(found["as trained"][0]) == pytest.approx(float(plain[len(ids) :].mean()), abs=1e-5)
    assert first == pytest.approx(float(plain[: len(ids) - 1].mean()), abs=1e-5)
    assert float(found["as trained"][1]) != pytest.approx(float(found["as trained"][0]), abs=1e-3)


def test_windows_cover_the_text_and_are_averaged() -> None:
    model = load_model("gqa-rope", "cpu")
    ids = model.tokenizer.encode("The old dog saw the young cat, and it rained. " * 30).ids
    seen: list[float] = []
    found = by_position(replace(model, context=50), ids, 100, seen.append)
    rest = ids[1:]
    windows = [[ids[0], *rest[i : i + 99]] for i in range(0, len(rest) - 98, 99)]
    assert len(windows) == 3 and seen == sorted(seen) and seen[-1] == pytest.approx(1)
    expected = torch.stack([losses(model, w) for w in windows]).mean(0)
    torch.testing.assert_close(found["as trained"], expected, rtol=0, atol=1e-4)
    expected = torch.stack([losses(model, w, scaled(model, Yarn(2.0, 50))) for w in windows]).mean(0)
    torch.testing.assert_close(found["YaRN"], expected, rtol=0, atol=1e-4)
    with pytest.raises(InputError, match="has no window of 5,000"):
        by_position(model, ids, 5000)


def test_only_rope_can_be_scaled_and_only_decoders_predict(minilm) -> None:
    with pytest.raises(InputError, match="MiniLM does not rotate its queries"):
        scaled(minilm, Linear(2.0))
    with pytest.raises(InputError, match="MiniLM reads both ways"):
        losses(minilm, [1, 2, 3])


def test_yarn_looks_back_over_a_gap_that_the_trained_frequencies_do_not(smollm2) -> None:
    ids = smollm2.tokenizer.encode(
        "The king of the far mountain gave seven golden apples to a poor fisherman named Orlo."
    ).ids
    found, first = over_gaps(smollm2, ids, [0, 12_288], beyond.FACTOR)
    assert float(found["as trained"][0]) < 1 < first < float(found["as trained"][1]) + 1
    assert float(found["YaRN"][1]) < float(found["as trained"][1]) - 1
