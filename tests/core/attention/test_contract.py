"""What holds for every attention variant of the registry under every position encoding."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from headlight.core.attention import GQA
from headlight.core.cache import KVCache
from headlight.core.positions import Position
from headlight.core.registry import ATTENTION, POSITIONS
from tests.core.variants import ENCODINGS, LENGTH, SIZES, build, cases, on_random, random

CHUNKS = (5, 1, 4, 3)  # how a text may arrive: several tokens at once, or one


def test_every_encoding_of_the_registry_is_tried_here():
    assert {type(encoding(4)) for encoding in ENCODINGS.values()} == set(POSITIONS.values())


@cases()
def test_each_row_of_attention_sums_to_one(case):
    weights = case.attend().weights
    assert weights.shape == (case.attention.n_heads, LENGTH, LENGTH)
    torch.testing.assert_close(weights.sum(-1), torch.ones(case.attention.n_heads, LENGTH, dtype=torch.float64))
    assert bool((weights >= 0).all())


@cases()
def test_exactly_what_is_allowed_is_seen(case):
    trace = case.attend()
    everything = torch.ones(LENGTH, LENGTH, dtype=torch.bool)
    assert torch.equal(trace.mask, everything.tril() if case.attention.causal else everything)
    assert bool((trace.weights[:, ~trace.mask] == 0).all())
    assert bool((trace.weights[:, trace.mask] > 0).all())


@cases(causal=(True,))
def test_the_future_cannot_change_the_past(case):
    before = case.attend()
    for kept in (1, 7, LENGTH - 1):
        x = torch.cat([case.x[:kept], random(LENGTH - kept, case.attention.d_model, seed=5)])
        after = replace(case, x=x).attend()
        torch.testing.assert_close(after.out[:kept], before.out[:kept], rtol=0, atol=1e-12)
        torch.testing.assert_close(after.weights[:, :kept], before.weights[:, :kept], rtol=0, atol=1e-12)
        assert not torch.allclose(after.out[kept:], before.out[kept:])


@cases(causal=(False,))
def test_without_a_mask_the_last_token_changes_the_first(case):
    x = torch.cat([case.x[:-1], random(1, case.attention.d_model, seed=5)])
    assert not torch.allclose(replace(case, x=x).attend().out[0], case.attend().out[0])


@cases()
def test_fused_attention_gives_the_output_of_the_trace(case):
    fused = case.attention.fused(case.project(), case.params)
    torch.testing.assert_close(fused, case.attend().out, rtol=0, atol=1e-12)


@cases()
def test_rows_are_rows_of_the_weights(case):
    weights, projections = case.attend().weights, case.project()
    for chosen in (slice(None), slice(0, 1), slice(4, 9), slice(LENGTH - 1, LENGTH)):
        rows = case.attention.rows(projections, chosen)
        torch.testing.assert_close(rows, weights[:, chosen], rtol=0, atol=1e-14)


@cases(causal=(True,))
def test_reading_token_by_token_equals_reading_at_once(case):
    whole, past = case.attend(), KVCache()
    for t in range(LENGTH):
        step = case.attend(t, t + 1, past)
        past = step.cache
        torch.testing.assert_close(step.out[0], whole.out[t], rtol=0, atol=1e-12)
        torch.testing.assert_close(step.weights[:, 0], whole.weights[:, t, : t + 1], rtol=0, atol=1e-12)
    for name, remembered in past.tensors.items():
        torch.testing.assert_close(remembered, whole.cache.tensors[name], rtol=0, atol=1e-12)


@cases(causal=(True,))
def test_reading_in_chunks_equals_reading_at_once_also_when_fused(case):
    whole, past, start = case.attend(), KVCache(), 0
    for size in CHUNKS:
        end = start + size
        projections = case.project(start, end, past)
        traced = case.attention.trace(projections, case.params)
        fused = case.attention.fused(projections, case.params)
        torch.testing.assert_close(traced.out, whole.out[start:end], rtol=0, atol=1e-12)
        torch.testing.assert_close(fused, whole.out[start:end], rtol=0, atol=1e-12)
        torch.testing.assert_close(
            case.attention.rows(projections, slice(0, 1))[:, 0], whole.weights[:, start, :end], rtol=0, atol=1e-12
        )
        past, start = projections.cache, end
    assert start == LENGTH


@cases()
def test_the_cache_holds_the_bytes_that_the_formula_says(case):
    past = KVCache()
    assert (past.length, past.nbytes) == (0, 0)
    for t in range(LENGTH):
        past = case.attend(t, t + 1, past).cache
        assert past.length == t + 1
        assert past.nbytes == case.attention.cached_elements_per_token() * 8 * (t + 1)


def test_a_token_costs_two_vectors_for_each_kv_head_or_a_latent_and_what_is_rotated():
    kept = {name: build(kind).cached_elements_per_token() for name, kind in ATTENTION.items()}
    d, n, g = SIZES["head_dim"], SIZES["n_heads"], SIZES["n_kv_heads"]
    r, turned = SIZES["kv_lora_rank"], SIZES["qk_rope_head_dim"]
    heads = {"mha": 2 * n * d, "gqa": 2 * g * d, "mqa": 2 * d}
    assert kept == heads | {"mla": r + turned, "latent": r, "decoupled": r + g * turned}


def test_extending_a_cache_leaves_the_old_one_as_it_was():
    old = KVCache().extend(k=random(2, 3, 5), v=random(2, 3, 7))
    new = old.extend(k=random(2, 4, 5), v=random(2, 4, 7))
    assert (old.length, new.length) == (3, 7)
    assert torch.equal(new.tensors["k"][:, :3], old.tensors["k"])


@dataclass(frozen=True)
class _Window(GQA):
    """Sees itself and the two tokens before."""

    def allowed(self, q_pos, k_pos):
        distance = q_pos[:, None] - k_pos[None, :]
        return (distance >= 0) & (distance < 3)


@dataclass(frozen=True)
class _BlindStart(GQA):
    """The first two tokens see nothing at all."""

    def allowed(self, q_pos, k_pos):
        return super().allowed(q_pos, k_pos) & (q_pos[:, None] > 1)


@dataclass(frozen=True)
class _Slope(Position):
    """A score bias that grows with distance, another one for each head."""

    def at_scores(self, scores, q_pos, k_pos):
        slopes = torch.arange(1, scores.shape[0] + 1, dtype=scores.dtype)[:, None, None]
        return scores - slopes * (q_pos[:, None] - k_pos[None, :])


@pytest.mark.parametrize("kind", [_Window, _BlindStart])
@pytest.mark.parametrize("position", [Position(), _Slope()])
def test_a_variant_may_override_only_what_is_allowed(kind, position):
    tried = on_random(build(kind), position)
    trace, projections = tried.attend(), tried.project()
    positions = torch.arange(LENGTH)
    assert torch.equal(trace.weights[0] > 0, tried.attention.allowed(positions, positions))
    torch.testing.assert_close(tried.attention.fused(projections, tried.params), trace.out, rtol=0, atol=1e-12)
    torch.testing.assert_close(tried.attention.rows(projections, slice(1, 6)), trace.weights[:, 1:6])


def test_a_token_that_may_see_nothing_has_zeros_and_no_nan():
    trace = on_random(build(_BlindStart)).attend()
    assert bool((trace.weights[:, :2] == 0).all())
    assert bool(trace.out.isfinite().all())


@pytest.mark.parametrize("causal", [True, False])
def test_a_score_bias_is_in_the_scores_and_in_fused_attention(causal):
    tried = on_random(build(GQA, causal=causal), _Slope())
    trace, projections = tried.attend(), tried.project()
    plain = on_random(tried.attention).attend()
    distance = (torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)).double()
    for head in range(tried.attention.n_heads):
        expected = plain.scores[head] - (head + 1) * distance
        torch.testing.assert_close(trace.scores[head], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(tried.attention.fused(projections, tried.params), trace.out, rtol=0, atol=1e-12)
    torch.testing.assert_close(tried.attention.rows(projections, slice(3, 8)), trace.weights[:, 3:8])
