"""Conversions to fewer KV heads, and to more."""

from __future__ import annotations

import pytest
import torch

from headlight.core.attention import GQA, MHA, MQA
from headlight.core.errors import InputError
from headlight.core.surgery import FirstHead, FreshHeads, MeanPooling, RandomHead, Repetition
from tests.core.surgery.layers import D_MODEL, HEAD_DIM, N_HEADS, layer, out

FEWER = [MeanPooling(), FirstHead(), RandomHead(3), FreshHeads(3)]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rope", [None, "half"])
@pytest.mark.parametrize("n_kv_heads", [1, 2, 3])
def test_repetition_changes_nothing_but_the_cache(n_kv_heads, rope, bias):
    it = layer(n_kv_heads, rope, bias)
    new = Repetition().convert(it, N_HEADS)
    assert type(new.attention) is MHA
    assert new.attention.cached_elements_per_token() == it.attention.cached_elements_per_token() * N_HEADS // n_kv_heads
    for before, after in zip(out(it), out(it, new), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-13)


@pytest.mark.parametrize("conversion", FEWER, ids=lambda c: c.title)
@pytest.mark.parametrize("bias", [False, True])
def test_as_many_kv_heads_as_before_change_nothing(conversion, bias):
    it = layer(bias=bias)
    assert conversion.exact(it.attention, it.position, N_HEADS)
    for before, after in zip(out(it), out(it, conversion.convert(it, N_HEADS)), strict=True):
        assert torch.equal(after, before)


@pytest.mark.parametrize("conversion", FEWER, ids=lambda c: c.title)
@pytest.mark.parametrize(("n", "kind"), [(1, MQA), (2, GQA), (3, GQA)])
def test_fewer_kv_heads_are_another_attention_that_caches_less(conversion, n, kind):
    it = layer(bias=True)
    new = conversion.convert(it, n)
    assert type(new.attention) is kind and new.attention == conversion.attention(it.attention, n)
    assert {name: tuple(t.shape) for name, t in new.params.items()} == new.attention.shapes()
    assert new.attention.cached_elements_per_token() == 2 * n * HEAD_DIM
    assert not conversion.exact(it.attention, it.position, n)
    assert not torch.allclose(out(it, new)[1], out(it)[1])


def rows(t, head):
    return t[head * HEAD_DIM : (head + 1) * HEAD_DIM]


@pytest.mark.parametrize("name", ["k_proj.weight", "v_proj.weight", "k_proj.bias"])
def test_mean_and_first_are_of_neighbouring_heads(name):
    it = layer(bias=True)
    old = it.params[name]
    mean, first = (each.convert(it, 2).params[name] for each in (MeanPooling(), FirstHead()))
    for group in range(2):
        three = [rows(old, 3 * group + i) for i in range(3)]
        torch.testing.assert_close(rows(mean, group), sum(three) / 3, rtol=0, atol=1e-14)
        assert torch.equal(rows(first, group), three[0])


def test_what_is_averaged_is_kv_heads_where_they_were_grouped_before():
    it = layer(2)
    pooled = MeanPooling().convert(it, 1).params["v_proj.weight"]
    torch.testing.assert_close(pooled, (rows(it.params["v_proj.weight"], 0) + rows(it.params["v_proj.weight"], 1)) / 2)


def test_a_random_head_is_one_of_its_group_with_its_own_value_and_its_seed_draws_it_again():
    it, drawn = layer(), {}
    for seed in range(12):
        new = RandomHead(seed).convert(it, 2).params
        again = RandomHead(seed).convert(it, 2).params
        picked = []
        for group in range(2):
            keys = it.params["k_proj.weight"]
            same = [i for i in range(3) if torch.equal(rows(new["k_proj.weight"], group), rows(keys, 3 * group + i))]
            assert len(same) == 1
            assert torch.equal(rows(new["v_proj.weight"], group), rows(it.params["v_proj.weight"], 3 * group + same[0]))
            picked.append(same[0])
        assert torch.equal(new["k_proj.weight"], again["k_proj.weight"])
        drawn[tuple(picked)] = seed
    assert len(drawn) > 3


def test_heads_from_scratch_are_as_large_as_the_trained_ones_and_none_of_them():
    it = layer()
    fresh, old = FreshHeads(1).convert(it, 3).params["k_proj.weight"], it.params["k_proj.weight"]
    assert float(fresh.std()) == pytest.approx(float(old.std()), rel=0.1)
    cosine = torch.nn.functional.cosine_similarity(fresh.flatten(), old[: 3 * HEAD_DIM].flatten(), dim=0)
    assert abs(float(cosine)) < 0.15  # of 780 numbers: four standard deviations
    assert not torch.equal(FreshHeads(2).convert(it, 3).params["k_proj.weight"], fresh)


def test_query_and_output_projections_stay():
    it = layer()
    for conversion in FEWER:
        params = conversion.convert(it, 1).params
        assert all(params[name] is it.params[name] for name in ("q_proj.weight", "o_proj.weight"))


@pytest.mark.parametrize(
    ("conversion", "n_kv_heads", "setting", "says"),
    [
        (MeanPooling(), 6, 4, r"the number of KV heads \(4\) must be a divisor of the 6 that there are: 1, 2, 3, 6 will do"),
        (MeanPooling(), 6, 0, r"the number of KV heads \(0\) must be a divisor"),
        (FirstHead(), 2, 3, r"KV heads \(3\) must be a divisor of the 2 that there are: 1, 2 will do"),
        (FirstHead(), 1, 1, r"First KV head cannot be done to this model: it has one KV head, which cannot become fewer"),
        (Repetition(), 6, 6, r"Repetition to MHA cannot be done to this model: each of its query heads has a KV head"),
        (Repetition(), 2, 3, r"the number of KV heads \(3\) must be that of the query heads: 6 will do"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_what_can(conversion, n_kv_heads, setting, says):
    with pytest.raises(InputError, match=says):
        conversion.convert(layer(n_kv_heads), setting)


def test_a_layer_that_is_no_heads_attention_is_refused():
    from headlight.core.attention import MLA

    mla = MLA(D_MODEL, 6, kv_lora_rank=8, qk_nope_head_dim=4, qk_rope_head_dim=2, v_head_dim=4)
    with pytest.raises(InputError, match="it keeps a latent and a rotated key already"):
        MeanPooling().check(mla, layer().position, 1)
