"""Position encodings: their laws, and their numbers against the papers' formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headlight.core.errors import ConfigError, InputError
from headlight.core.positions import Learned, Position, RoPE
from tests.core.variants import random

LAYOUTS = ("half", "interleaved")
ropes = st.builds(
    RoPE,
    dim=st.sampled_from([2, 6, 14, 22, 64]),
    theta=st.sampled_from([100.0, 10_000.0, 100_000.0, 1e6]),
    layout=st.sampled_from(LAYOUTS),
)
places = st.integers(0, 8191)


def _turned(rope: RoPE, vector: torch.Tensor, place: int) -> torch.Tensor:
    return rope.at_qk(vector[None, None], torch.tensor([place]))[0, 0]


@given(rope=ropes, query=places, key=places, shift=places, seed=st.integers(0, 99))
def test_rope_scores_depend_on_distance_alone(rope, query, key, shift, seed):
    q, k = random(2, rope.dim, seed=seed)
    here = _turned(rope, q, query) @ _turned(rope, k, key)
    there = _turned(rope, q, query + shift) @ _turned(rope, k, key + shift)
    # Angles up to 16,382 are rounded at 2e-12.
    assert float((here - there).abs()) < 1e-9


@given(rope=ropes, place=places, seed=st.integers(0, 99))
def test_rope_changes_no_vectors_length(rope, place, seed):
    vector = random(rope.dim, seed=seed)
    torch.testing.assert_close(_turned(rope, vector, place).norm(), vector.norm())


@given(rope=ropes, place=places, seed=st.integers(0, 99))
def test_rope_turns_each_pair_as_a_complex_number(rope, place, seed):
    vector = random(rope.dim, seed=seed)
    turned = _turned(rope, vector, place)
    for j in range(rope.dim // 2):
        a, b = (2 * j, 2 * j + 1) if rope.layout == "interleaved" else (j, j + rope.dim // 2)
        angle = place * rope.theta ** (-2 * j / rope.dim)
        expected = complex(vector[a], vector[b]) * complex(math.cos(angle), math.sin(angle))
        assert complex(turned[a], turned[b]) == pytest.approx(expected, abs=1e-9)


@given(dim=st.sampled_from([2, 6, 14, 22]), place=places, seed=st.integers(0, 99))
def test_the_two_layouts_of_rope_agree_once_the_dimensions_are_permuted(dim, place, seed):
    vector = random(dim, seed=seed)
    halves = [*range(0, dim, 2), *range(1, dim, 2)]
    interleaved = _turned(RoPE(dim, layout="interleaved"), vector, place)
    torch.testing.assert_close(_turned(RoPE(dim), vector[halves], place), interleaved[halves], rtol=0, atol=1e-9)


def test_the_two_layouts_of_rope_differ_without_the_permutation():
    vector = random(6)
    assert not torch.allclose(_turned(RoPE(6), vector, 3), _turned(RoPE(6, layout="interleaved"), vector, 3))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rope_leaves_position_zero_as_it_is(layout):
    vector = random(14)
    assert torch.equal(_turned(RoPE(14, layout=layout), vector, 0), vector)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rope_leaves_the_dimensions_beyond_its_own_as_they_are(layout):
    t = random(3, 5, 14)
    turned = RoPE(6, layout=layout).at_qk(t, torch.arange(5))
    assert torch.equal(turned[..., 6:], t[..., 6:])
    torch.testing.assert_close(turned[..., :6], RoPE(6, layout=layout).at_qk(t[..., :6], torch.arange(5)))


@pytest.mark.parametrize(("dim", "theta"), [(6, 100.0), (64, 10_000.0), (64, 100_000.0), (128, 1e6)])
def test_rope_frequencies_are_theta_to_minus_2j_over_dim(dim, theta):
    expected = [theta ** (-2 * j / dim) for j in range(dim // 2)]
    assert RoPE(dim, theta).frequencies(torch.float64).tolist() == pytest.approx(expected, rel=1e-14)
    assert RoPE(dim, theta).frequencies().tolist() == pytest.approx(expected, rel=1e-6)


def test_rope_counts_in_float32_when_the_model_is_in_half_precision():
    rope, pos = RoPE(6), torch.tensor([4001, 4002])  # bfloat16 cannot tell these two apart
    assert rope.angles(pos, torch.bfloat16).dtype == torch.float32
    t = random(3, 2, 6)
    exact, half = rope.at_qk(t, pos), rope.at_qk(t.bfloat16(), pos)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), exact, rtol=0, atol=0.05)


def test_rope_acts_on_queries_and_keys_only():
    rope, x, pos = RoPE(6), random(3, 5, 6), torch.arange(5)
    assert rope.at_input(x[0], pos) is x[0] or torch.equal(rope.at_input(x[0], pos), x[0])
    assert not rope.biases_scores


def test_learned_positions_add_the_vector_of_each_position():
    table, x = random(11, 7), random(3, 7, seed=1)
    added = Learned(table).at_input(x, torch.tensor([0, 4, 10]))
    assert torch.equal(added, torch.stack([x[0] + table[0], x[1] + table[4], x[2] + table[10]]))
    assert torch.equal(Learned(table).at_qk(x[None], torch.arange(3)), x[None])


def test_learned_positions_refuse_to_go_beyond_their_table():
    with pytest.raises(InputError, match=r"position 11 was never learned; this table ends at 10"):
        Learned(random(11, 7)).at_input(random(3, 7), torch.arange(9, 12))


def test_no_encoding_changes_nothing():
    none, x, pos = Position(), random(3, 5, 7), torch.arange(5)
    assert none.at_input(x[0], pos).equal(x[0])
    assert none.at_qk(x, pos).equal(x)
    assert none.at_scores(random(3, 5, 5), pos, pos).equal(random(3, 5, 5))
    assert not none.biases_scores


def test_rope_refuses_queries_narrower_than_what_it_turns():
    with pytest.raises(ConfigError, match="RoPE turns 10 dimensions, but queries and keys have 6"):
        RoPE(10).at_qk(random(2, 3, 6), torch.arange(3))
