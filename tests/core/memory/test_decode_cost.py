"""What a decoding step costs: equal to what torch counts in our own steps, to published numbers, and to plain sense."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from headlight.core.attention import GQA, MHA, MLA, MQA, Attention
from headlight.core.cache import DecodingCache
from headlight.core.errors import ConfigError, UnknownNameError
from headlight.core.memory.decode_cost import Way, latent_of, ways
from headlight.core.memory.hardware import card, cards
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.shape import CacheShape, MLADims, of_heads, of_mla
from headlight.core.positions import RoPE

V3 = replace(of_mla(61, 128, MLADims(512, 128, 64, 128, q_lora_rank=1536)), d_model=7168)
# Sizes for counting: all different, and a rotated part beside the plain one. Both layouts of MLA's queries.
DIMS = {0: MLADims(34, 10, 6, 7), 11: MLADims(34, 10, 6, 7, q_lora_rank=11)}
D_MODEL, N_HEADS, PAST = 13, 6, 22


def _attention(name: str, dims: MLADims) -> Attention:
    if name in ("full", "absorbed", "expanded"):
        return MLA(
            D_MODEL, N_HEADS, kv_lora_rank=dims.kv_lora_rank, qk_nope_head_dim=dims.qk_nope_head_dim,
            qk_rope_head_dim=dims.qk_rope_head_dim, v_head_dim=dims.v_head_dim, q_lora_rank=dims.q_lora_rank,
        )  # fmt: skip
    kinds = {
        "mha": MHA(D_MODEL, N_HEADS, 10),
        "gqa": GQA(D_MODEL, N_HEADS, 10, n_kv_heads=2),
        "mqa": MQA(D_MODEL, N_HEADS, 10),
    }
    return kinds[name]


def _counted(attention: Attention, expand: bool) -> int:
    """Operations that torch counts in one step over PAST remembered tokens and the new one."""
    position = RoPE(6 if isinstance(attention, MLA) else 10)
    params = {name: torch.randn(shape) for name, shape in attention.shapes().items()}
    cache = DecodingCache(PAST + 1)
    attention.step(torch.randn(PAST, D_MODEL), params, position, cache)
    x = torch.randn(1, D_MODEL)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        if expand:
            attention.fused(attention.project(x, params, position, cache), params)
        else:
            attention.step(x, params, position, cache)
    return counter.get_total_flops()


def _shape(dims: MLADims) -> CacheShape:
    return replace(of_mla(1, N_HEADS, dims), d_model=D_MODEL)


@pytest.mark.parametrize("name", ["mha", "gqa", "mqa"])
def test_operations_of_heads_are_those_that_torch_counts(name: str) -> None:
    shape = replace(of_heads(1, N_HEADS, N_HEADS, 10), d_model=D_MODEL)
    cost = ways(shape, 2)[name].cost(PAST + 1)
    assert _counted(_attention(name, DIMS[0]), expand=False) == cost.operations(weights=True)


@pytest.mark.parametrize("rank", DIMS)
def test_operations_of_absorbed_mla_are_those_that_torch_counts(rank: int) -> None:
    cost = ways(_shape(DIMS[rank]), 2)["absorbed"].cost(PAST + 1)
    assert _counted(_attention("absorbed", DIMS[rank]), expand=False) == cost.operations(weights=True)


@pytest.mark.parametrize("rank", DIMS)
def test_operations_of_expanding_anew_are_those_that_torch_counts(rank: int) -> None:
    dims = DIMS[rank]
    cost = ways(_shape(dims), 2)["expanded"].cost(PAST + 1)
    # Our kernel pads values to the keys' width: the sum over them runs that much wider than it must.
    padding = 2 * N_HEADS * (dims.qk_nope_head_dim + dims.qk_rope_head_dim - dims.v_head_dim) * (PAST + 1)
    assert _counted(_attention("expanded", dims), expand=True) == cost.operations(weights=True) + padding


@pytest.mark.parametrize("name", ["mha", "gqa", "mqa", "absorbed"])
def test_cache_bytes_are_those_of_the_tensors_that_a_step_reads(name: str) -> None:
    attention = _attention(name, DIMS[0])
    cache, position = DecodingCache(), RoPE(6 if isinstance(attention, MLA) else 10)
    params = {key: torch.randn(shape) for key, shape in attention.shapes().items()}
    attention.step(torch.randn(PAST + 1, D_MODEL), params, position, cache)
    shape = _shape(DIMS[0]) if name == "absorbed" else replace(of_heads(1, N_HEADS, N_HEADS, 10), d_model=D_MODEL)
    way = ways(shape, 2)[name]
    assert way.cost(PAST + 1, cache=PRECISIONS["fp32"]).cache_bytes == cache.nbytes
    assert way.weights == sum(tensor.numel() for key, tensor in params.items() if tensor.dim() == 2)


@pytest.mark.parametrize(
    ("name", "gigaflop", "read"),
    [("absorbed", 36.5, 151e6), ("full", 10.7, 10.7e9), ("expanded", 4409, 151e6)],
)
def test_deepseek_v3_at_131072_tokens_is_as_reckoned_elsewhere(name: str, gigaflop: float, read: float) -> None:
    cost = ways(V3, 8)[name].cost(131_072)
    assert cost.flops / 1e9 == pytest.approx(gigaflop, rel=4e-3) and cost.cache_bytes == pytest.approx(read, rel=4e-3)


def test_absorbing_costs_3_4_times_the_arithmetic_and_saves_71_times_the_reading() -> None:
    absorbed, full = (ways(V3, 8)[name].cost(4096) for name in ("absorbed", "full"))
    assert absorbed.flops / full.flops == pytest.approx(
        3.4
    ) and full.cache_bytes / absorbed.cache_bytes == pytest.approx(71.1, abs=0.02)


def test_flashmlas_rule_of_two_operations_a_byte_and_query_head() -> None:
    assert ways(V3, 8)["absorbed"].cost(9000).intensity() == pytest.approx(2 * 128 * (576 + 512) / (2 * 576))


@given(st.integers(1, 10**6), st.integers(1, 512))
def test_intensity_of_attending_is_the_same_at_any_context_and_batch(context: int, batch: int) -> None:
    for way in ways(V3, 8).values():
        assert way.cost(context, batch).intensity() == pytest.approx(way.cost(1).intensity())


def test_heads_that_share_do_as_much_arithmetic_and_read_less() -> None:
    found = ways(V3, 8)
    mha, gqa, mqa = (found[name].cost(5000) for name in ("mha", "gqa", "mqa"))
    assert mha.flops == gqa.flops == mqa.flops
    assert mha.cache_bytes == 16 * gqa.cache_bytes == 128 * mqa.cache_bytes
    assert [c.intensity() for c in (mha, gqa, mqa)] == [1, 16, 128]


def test_a_larger_batch_shares_the_projections() -> None:
    one, many = (ways(V3, 8)["absorbed"].cost(1024, batch) for batch in (1, 64))
    assert many.weight_bytes == one.weight_bytes and many.weight_flops == 64 * one.weight_flops
    assert many.intensity(weights=True) > one.intensity(weights=True)


def test_fewer_bits_are_fewer_bytes_and_no_less_arithmetic() -> None:
    way = ways(V3, 8)["gqa"]
    half, fp8 = way.cost(1024), way.cost(1024, cache=PRECISIONS["fp8"])
    assert half.cache_bytes == 2 * fp8.cache_bytes and half.flops == fp8.flops
    assert way.cost(1024, cache=PRECISIONS["q8_0"]).cache_bytes == fp8.cache_bytes * 8.5 / 8


def test_a_model_without_mla_gets_the_latent_of_deepseeks_proportions() -> None:
    assert latent_of(of_heads(32, 32, 8, 128)) == MLADims(512, 128, 64, 128)


@pytest.mark.parametrize(
    ("context", "batch", "message"),
    [
        (0, 1, r"context \(0\) must be a whole number from 1"),
        (10**12, 1, r"context \(1,000,000,000,000\)"),
        (8, -2, r"batch \(-2\)"),
    ],
)
def test_impossible_sizes_are_refused(context: int, batch: int, message: str) -> None:
    way: Way = ways(V3, 8)["mha"]
    with pytest.raises(ConfigError, match=message):
        way.cost(context, batch)


def test_heads_that_do_not_divide_and_unknown_widths_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"n_heads \(128\) must be a multiple of n_kv_heads \(3\)"):
        ways(V3, 3)
    with pytest.raises(ConfigError, match="d_model is needed"):
        ways(replace(V3, d_model=None), 8)


def test_the_roof_is_slanted_up_to_the_ridge_and_flat_beyond() -> None:
    for each in cards().values():
        assert each.roof(each.ridge / 3) == pytest.approx(each.flops / 3) and each.roof(each.ridge * 3) == each.flops
        assert 50 < each.ridge < 500


def test_a_steps_shortest_time_is_what_its_bound_takes() -> None:
    h800, found = card("h800"), ways(V3, 8)
    for name, bound in (("absorbed", "memory"), ("full", "memory"), ("mha", "memory")):
        cost = found[name].cost(131_072)
        assert h800.bound(cost) == bound and h800.seconds(cost) == cost.traffic() / 3.35e12
    expanded = found["expanded"].cost(131_072)
    assert card("rtx4090").bound(expanded) == "arithmetic"
    assert card("rtx4090").seconds(expanded) == expanded.flops / 165.2e12


def test_every_card_names_its_source_and_how_it_was_taken() -> None:
    for name, each in cards().items():
        assert each.name == name and len(each.source) > 30 and each.status
    with pytest.raises(UnknownNameError, match="no card is called 'x'; there are a100"):
        card("x")
