"""Variants that must agree with each other, with torch, and with the formulas written out in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from headlight.core.attention import GQA, MHA, MQA
from headlight.core.cache import KVCache
from headlight.core.positions import Position, RoPE
from headlight.core.registry import ATTENTION
from tests.core.variants import LENGTH, SIZES, build, cases, on_random, rotary_width

N, G, D = SIZES["n_heads"], SIZES["n_kv_heads"], SIZES["head_dim"]


def _agree(one, other):
    torch.testing.assert_close(one.weights, other.weights, rtol=0, atol=1e-13)
    torch.testing.assert_close(one.out, other.out, rtol=0, atol=1e-13)


@pytest.mark.parametrize("position", [None, RoPE(D)])
@pytest.mark.parametrize(("kind", "n_kv_heads"), [(MHA, N), (MQA, 1)])
def test_mha_and_mqa_are_gqa_at_its_two_ends(kind, n_kv_heads, position):
    named, general = build(kind), build(GQA, n_kv_heads=n_kv_heads)
    assert named.shapes() == general.shapes()
    assert named.n_kv_heads == n_kv_heads
    _agree(on_random(named, position).attend(), on_random(general, position).attend())


@pytest.mark.parametrize("position", [None, RoPE(D), RoPE(D, layout="interleaved")])
def test_gqa_is_mha_with_every_kv_head_repeated_for_its_neighbours(position):
    few = on_random(build(GQA, bias=True), position)
    order = [0, 0, 0, 1, 1, 1]
    repeated = {
        name: tensor.unflatten(0, (G, D))[order].flatten(0, 1) if name[0] in "kv" else tensor
        for name, tensor in few.params.items()
    }
    many = build(MHA, bias=True)
    _agree(few.attend(), many.attend(few.x, repeated, few.position))


def test_neighbouring_query_heads_share_a_kv_head():
    tried = on_random(build(GQA))
    kept = {name: tensor.clone() for name, tensor in tried.params.items()}
    kept["k_proj.weight"][:D] = 0  # KV head 0 now answers every query alike
    weights = tried.attention.attend(tried.x, kept, tried.position).weights
    even = tried.attend().mask / tried.attend().mask.sum(-1, keepdim=True)
    blind = [bool(torch.allclose(weights[head], even.double())) for head in range(N)]
    assert blind == [True, True, True, False, False, False]
    assert [tried.attend().kv_head(head) for head in range(N)] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("kind", ATTENTION.values())
@pytest.mark.parametrize("causal", [True, False])
def test_every_variant_is_torchs_own_attention_on_its_queries_keys_and_values(kind, causal):
    attention = build(kind, causal=causal)
    tried = on_random(attention, RoPE(rotary_width(attention)))
    trace = tried.attend()
    heads = F.scaled_dot_product_attention(
        trace.q[None], trace.k[None], trace.v[None], is_causal=causal, enable_gqa=True
    )[0]
    torch.testing.assert_close(trace.heads, heads, rtol=0, atol=1e-13)
    out = heads.transpose(0, 1).reshape(LENGTH, -1) @ tried.params["o_proj.weight"].T
    torch.testing.assert_close(trace.out, out, rtol=0, atol=1e-13)


@pytest.mark.parametrize("bias", [True, False])
def test_gqa_is_its_formula_written_out_number_by_number(bias):
    tried = on_random(build(GQA, bias=bias))
    trace, head, t = tried.attend(), 4, 7

    def vector(name: str, h: int, token: int) -> list[float]:
        rows = tried.params[f"{name}.weight"][h * D : (h + 1) * D]
        offsets = tried.params[f"{name}.bias"][h * D : (h + 1) * D] if bias else [0] * D
        return [float(row @ tried.x[token] + offset) for row, offset in zip(rows, offsets, strict=True)]

    query = vector("q_proj", head, t)
    keys, values = ([vector(name, head // (N // G), u) for u in range(t + 1)] for name in ("k_proj", "v_proj"))
    powers = [math.exp(sum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(D)) for key in keys]
    weights = [power / sum(powers) for power in powers]
    mixed = [sum(weight * value[i] for weight, value in zip(weights, values, strict=True)) for i in range(D)]
    assert trace.weights[head, t, : t + 1].tolist() == pytest.approx(weights, abs=1e-13)
    assert trace.heads[head, t].tolist() == pytest.approx(mixed, abs=1e-13)


@cases()
def test_no_encoding_acts_on_values(case):
    x = case.position.at_input(case.x, torch.arange(LENGTH))
    plain = case.attention.project(x, case.params, Position(), KVCache())
    assert torch.equal(case.project().v, plain.v)


@pytest.mark.parametrize("kind", [MHA, GQA, MQA])
@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_rope_turns_queries_and_keys_at_their_own_positions(kind, layout):
    rope, places = RoPE(D, layout=layout), torch.arange(LENGTH)
    plain, turned = on_random(build(kind)).project(), on_random(build(kind), rope).project()
    torch.testing.assert_close(turned.q, rope.at_qk(plain.q, places), rtol=0, atol=1e-13)
    torch.testing.assert_close(turned.k, rope.at_qk(plain.k, places), rtol=0, atol=1e-13)
    assert not torch.allclose(turned.k, plain.k)


@cases()
def test_each_step_of_the_derivation_follows_from_the_one_before(case):
    trace = case.attend()
    step = {each.name: each.value for each in trace.steps}
    groups = trace.n_heads // trace.n_kv_heads
    for head in range(trace.n_heads):
        q, k = step["q"][head], step["k"][head // groups]
        products = torch.einsum("td,ud->tu", q, k)
        torch.testing.assert_close(step["products"][head], products, rtol=0, atol=1e-13)
    scaled = step["products"] / math.sqrt(D) * case.position.score_scale
    torch.testing.assert_close(
        step["scores"], case.position.at_scores(scaled, *2 * [torch.arange(LENGTH)]), rtol=0, atol=1e-13
    )
    for head in range(trace.n_heads):
        v = step["v"][head // groups]
        torch.testing.assert_close(step["masked"][head].softmax(-1), step["weights"][head], rtol=0, atol=1e-14)
        torch.testing.assert_close(step["heads"][head], step["weights"][head] @ v, rtol=0, atol=1e-13)
    assert bool((step["masked"][:, trace.mask] == step["scores"][:, trace.mask]).all())
    assert bool((step["masked"][:, ~trace.mask] == float("-inf")).all())
    side_by_side = torch.cat(list(step["heads"]), dim=-1)
    out = side_by_side @ case.params["o_proj.weight"].T + case.params.get("o_proj.bias", 0)
    torch.testing.assert_close(step["out"], out, rtol=0, atol=1e-13)
    assert trace.scale == pytest.approx(case.position.score_scale / math.sqrt(D), abs=1e-15)


@cases()
def test_each_step_has_the_axes_that_it_names(case):
    trace = case.attend()
    sizes = {
        "n_heads": N, "n_kv_heads": trace.n_kv_heads, "q_len": LENGTH, "kv_len": LENGTH, "qk_head_dim": D,
        "v_head_dim": trace.v.shape[-1], "kv_lora_rank": SIZES["kv_lora_rank"], "qk_rope_head_dim": SIZES["qk_rope_head_dim"],
        "d_model": SIZES["d_model"], "qk_nope_head_dim": SIZES["qk_nope_head_dim"], "q_lora_rank": SIZES["q_lora_rank"],
    }  # fmt: skip
    for step in trace.steps:
        assert tuple(step.value.shape) == tuple(sizes[axis] for axis in step.axes), step.name
        assert trace.step(step.name) is not None
