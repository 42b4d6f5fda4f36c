"""Aligned merging: what heads may be rotated by without the attention noticing does not matter, and copies merge exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headlight.core.attention import GQA, MHA, MQA
from headlight.core.errors import InputError
from headlight.core.positions import ALiBi, RoPE
from headlight.core.surgery import Aligned, MeanPooling
from headlight.core.surgery.alignment import as_complex, from_complex
from headlight.core.surgery.rotary import pairs_of
from tests.core.surgery.layers import D_MODEL, HEAD_DIM, layer, out, random

LAYOUTS = [None, "half", "interleaved"]


def heads(t: torch.Tensor) -> torch.Tensor:
    return t.unflatten(0, (-1, HEAD_DIM))


def turned(it, factors: torch.Tensor):
    """The layer with each KV head's keys times its factors, and the queries that read it divided by their conjugates."""
    pairs, params = pairs_of(it.position), dict(it.params)
    group = it.attention.n_heads // it.attention.n_kv_heads
    by_name = {"k_proj": factors, "q_proj": (1 / factors.conj()).repeat_interleave(group, 0)}
    for name in [name for name in params if name[:6] in by_name]:
        columns = heads(params[name]).reshape(-1, HEAD_DIM, params[name].numel() // len(params[name]))
        new = from_complex(as_complex(columns, pairs) * by_name[name[:6]][..., None], pairs)
        params[name] = new.reshape(params[name].shape)
    return replace(it, params=params)


def mixed(it, keys: torch.Tensor, values: torch.Tensor):
    """The layer without RoPE with each KV head's keys and values times matrices, undone in queries and output."""
    params, group = dict(it.params), it.attention.n_heads // it.attention.n_kv_heads
    undo_q, undo_o = (torch.linalg.inv(m).repeat_interleave(group, 0) for m in (keys, values))
    for name, by in (("k_proj", keys), ("v_proj", values), ("q_proj", undo_q.mT)):
        for each in [each for each in params if each.startswith(name)]:
            columns = heads(params[each]).reshape(len(by), HEAD_DIM, -1)
            params[each] = (by @ columns).reshape(params[each].shape)
    columns = params["o_proj.weight"].unflatten(1, (-1, HEAD_DIM)).movedim(1, 0)
    params["o_proj.weight"] = (columns @ undo_o).movedim(0, 1).flatten(1)
    return replace(it, params=params)


def as_copies(it):
    """The layer with the first head's keys and values in every KV head."""
    params = dict(it.params)
    for name in [name for name in params if name[:6] in ("k_proj", "v_proj")]:
        params[name] = (
            heads(params[name])[:1].expand(it.attention.n_kv_heads, *heads(params[name]).shape[1:]).flatten(0, 1)
        )
    return replace(it, params=params)


def gauges(n: int, seed: int, unit: bool) -> torch.Tensor:
    angles = torch.polar(torch.ones(n, HEAD_DIM // 2, dtype=torch.float64), random(n, HEAD_DIM // 2, seed=seed) * 3)
    return angles if unit else angles * random(n, HEAD_DIM // 2, seed=seed + 1).exp()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layout", ["half", "interleaved"])
@pytest.mark.parametrize("n_kv_heads", [3, 6])
def test_complex_gauges_of_size_one_change_nothing(layout, bias, n_kv_heads):
    it = layer(n_kv_heads, layout, bias)
    other = turned(it, gauges(n_kv_heads, 5, unit=True))
    for before, after in zip(out(it), out(other), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-12)
    first, second = (Aligned().convert(each, 1) for each in (it, other))
    assert not torch.allclose(first.params["q_proj.weight"], it.params["q_proj.weight"])
    for before, after in zip(out(it, first), out(other, second), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-10)


def test_rotations_of_heads_change_nothing_where_keys_are_not_turned():
    it = layer(6, None, bias=True)
    keys, values = (torch.linalg.qr(random(6, HEAD_DIM, HEAD_DIM, seed=s)).Q for s in (8, 9))
    first, second = (Aligned().convert(each, 2) for each in (it, mixed(it, keys, values)))
    for before, after in zip(out(it, first), out(it, second), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-10)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_heads_that_are_copies_but_for_a_complex_factor_merge_without_loss(layout, bias):
    it = turned(as_copies(layer(6, layout, bias)), gauges(6, 11, unit=False))
    for before, after in zip(out(it), out(it, Aligned().convert(it, 1)), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-9)
    assert not torch.allclose(out(it, MeanPooling().convert(it, 1))[1], out(it)[1], atol=1e-3)


@pytest.mark.parametrize("bias", [False, True])
def test_heads_that_are_copies_but_for_a_matrix_merge_without_loss(bias):
    it = mixed(as_copies(layer(6, None, bias)), *(random(6, HEAD_DIM, HEAD_DIM, seed=s) for s in (8, 9)))
    for before, after in zip(out(it), out(it, Aligned().convert(it, 2)), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("n", "kind"), [(1, MQA), (2, GQA), (6, MHA)])
def test_what_comes_out_is_a_plain_attention(layout, n, kind):
    it = layer(6, layout, bias=True)
    new = Aligned().convert(it, n)
    assert type(new.attention) is kind and new.attention.cached_elements_per_token() == 2 * n * HEAD_DIM
    assert {name: tuple(t.shape) for name, t in new.params.items()} == new.attention.shapes()
    assert all(t.dtype == torch.float64 and t.is_contiguous() for t in new.params.values())
    assert Aligned().exact(it.attention, it.position, n) == (n == 6)
    if n == 6:
        assert all(torch.equal(new.params[name], it.params[name]) for name in it.params)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_nearer_than_mean_pooling(layout):
    it = layer(6, layout, bias=True)
    original = out(it)[1]
    aligned, pooled = ((out(it, c.convert(it, 2))[1] - original).square().sum() for c in (Aligned(), MeanPooling()))
    assert aligned < pooled / 2


def test_a_pair_is_the_best_approximation_of_rank_one_that_an_svd_gives():
    it = layer(3, "half")
    new, pairs = Aligned().convert(it, 1), pairs_of(it.position)
    values, vectors = torch.linalg.eigh(it.measured())
    root = (vectors * values.sqrt()).to(torch.complex128)
    q, k, shared = (as_complex(heads(p[n]), pairs) for p, n in ((it.params, "q_proj.weight"), (it.params, "k_proj.weight"),
                                                               (new.params, "k_proj.weight")))  # fmt: skip
    use = (q @ root).abs().square().sum(-1).unflatten(0, (3, -1)).sum(1).sqrt()
    for pair in range(len(pairs)):
        vh = torch.linalg.svd(use[:, pair, None] * k[:, pair] @ root, full_matrices=False).Vh
        direction = shared[0, pair] @ root
        assert (direction @ vh[0].conj()).abs() / direction.abs().square().sum().sqrt() == pytest.approx(1, abs=1e-9)


def test_keys_that_something_else_turns_are_refused():
    it = layer(6, "half")
    narrow = replace(it, position=RoPE(HEAD_DIM - 2))
    with pytest.raises(InputError, match="rotated by something other than RoPE over whole heads"):
        Aligned().convert(narrow, 2)
    assert Aligned().refusal(it.attention, ALiBi()) is None


def test_without_a_second_moment_it_says_what_it_needs():
    with pytest.raises(InputError, match="give the second moment of its inputs"):
        Aligned().convert(replace(layer(), moment=None), 2)
    assert Aligned().calibrated and layer().measured().shape == (D_MODEL, D_MODEL)
