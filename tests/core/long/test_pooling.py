"""Pooled maps are what pooling the whole matrix gives: every variant, encoding and mask, any cell, part and offset."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from headlight.core.attention import GQA, MHA
from headlight.core.cache import KVCache
from headlight.core.errors import InputError
from headlight.core.long import pooling
from headlight.core.long.pooling import Pooled, Region, pool
from headlight.core.positions import RoPE
from headlight.core.types import Projections
from tests.core.attention.windows import windowed
from tests.core.variants import LENGTH, Case, cases, random, weights_for

EXACT = 1e-12  # float64: a sum of at most some hundred weights
FLOAT32 = 1e-6  # the bar


def by_hand(weights: Tensor, mask: Tensor, region: Region) -> tuple[Tensor, Tensor, Tensor]:
    """Largest, sum and allowed pairs of each cell of a whole map, cell by cell."""
    (q0, q1), (k0, k1), c = region.queries, region.keys, region.cell
    largest, total = (weights.new_zeros(len(weights), *region.shape) for _ in range(2))
    allowed = torch.zeros(region.shape, dtype=torch.int64)
    for row, q in enumerate(range(q0, q1, c)):
        for col, k in enumerate(range(k0, k1, c)):
            place = slice(q, min(q + c, q1)), slice(k, min(k + c, k1))
            block = weights[:, *place].flatten(1)
            largest[:, row, col], total[:, row, col] = block.amax(-1), block.sum(-1)
            allowed[row, col] = mask[place].sum()
    return largest, total, allowed


def agrees(cells: Pooled, weights: Tensor, mask: Tensor, tolerance: float = EXACT) -> None:
    largest, total, allowed = by_hand(weights[list(cells.heads)], mask, cells.region)
    torch.testing.assert_close(cells.largest, largest, rtol=0, atol=tolerance)
    torch.testing.assert_close(cells.total, total, rtol=0, atol=tolerance * cells.region.cell**2)
    assert torch.equal(cells.allowed, allowed)


def whole(cell: int, q_len: int = LENGTH, kv_len: int = LENGTH) -> Region:
    return Region((0, q_len), (0, kv_len), cell)


@cases()
def test_every_variant_and_encoding_pools_to_its_own_weights(case: Case) -> None:
    trace = case.attend()
    for cell in (1, 3, 5, LENGTH, 50):
        agrees(pool(case.attention, case.project(), whole(cell)), trace.weights, trace.mask)


@cases(causal=(True,))
def test_a_window_is_pooled_as_it_is_seen(case: Case) -> None:
    seen = replace(case, attention=windowed(case.attention, 4))
    trace = seen.attend()
    agrees(pool(seen.attention, seen.project(), whole(3)), trace.weights, trace.mask)


@cases(causal=(True,))
def test_the_last_tokens_over_a_cache_are_pooled_at_their_offset(case: Case) -> None:
    past = case.attend(0, 8).cache
    trace, p = case.attend(8, LENGTH, past), case.project(8, LENGTH, past)
    cells = pool(case.attention, p, whole(2, LENGTH - 8, LENGTH), strongest=True)
    agrees(cells, trace.weights, trace.mask)


def long_layer(length: int = 211, dtype: torch.dtype = torch.float64, causal: bool = True) -> tuple[GQA, Projections]:
    """More tokens than some slabs hold, of no round number."""
    gqa = GQA(26, 6, 10, n_kv_heads=2, causal=causal)
    params = {name: t.to(dtype) for name, t in weights_for(gqa).items()}
    return gqa, gqa.project(random(length, 26, seed=7).to(dtype), params, RoPE(10), KVCache())


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("cell", [1, 7, 16, 64, 65, 100, 300])
@pytest.mark.parametrize(
    "part", [((0, 211), (0, 211)), ((50, 190), (3, 61)), ((130, 131), (90, 211)), ((0, 20), (150, 211))]
)
def test_any_part_in_any_grain_is_that_part_of_the_whole_map(causal: bool, cell: int, part) -> None:
    gqa, p = long_layer(causal=causal)
    weights, mask = gqa.rows(p, slice(None)), gqa.allowed(p.q_pos, p.k_pos)
    agrees(pool(gqa, p, Region(*part, cell)), weights, mask)
    agrees(pool(gqa, p, Region(*part, cell), heads=[4, 1, 2]), weights, mask)


def test_in_the_apps_precision_pooled_maps_are_right_to_a_millionth() -> None:
    gqa, p = long_layer(1511, torch.float32)
    weights = gqa.rows(p, slice(None))
    agrees(pool(gqa, p, whole(16, 1511, 1511)), weights, gqa.allowed(p.q_pos, p.k_pos), FLOAT32)


def test_half_precision_is_pooled_in_float32() -> None:
    gqa, p = long_layer()
    half = replace(p, q=p.q.bfloat16(), k=p.k.bfloat16(), v=p.v.bfloat16())
    cells = pool(gqa, half, whole(16, 211, 211))
    assert cells.largest.dtype == torch.float32
    scores = ((half.q * gqa.scale) @ half.k.repeat_interleave(3, 0).mT).float()
    mask = gqa.allowed(p.q_pos, p.k_pos)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    agrees(cells, weights, mask, 2e-2)  # bfloat16 keeps eight bits of a score


def test_a_minilm_head_is_pooled_to_a_millionth(minilm, sentence) -> None:
    from headlight import run

    result = run(minilm, " ".join([sentence] * 30), layers=[3])
    trace, p = result.layers[3], result.layers.projections(3)
    size = len(result.tokens)
    agrees(pool(minilm.attention, p, whole(13, size, size)), trace.weights, trace.mask, FLOAT32)


@pytest.mark.parametrize("cell", [1, 4, 16, 100])
def test_the_strongest_pair_of_each_cell_has_its_largest_weight_and_lies_in_it(cell: int) -> None:
    gqa, p = long_layer()
    weights = gqa.rows(p, slice(None))
    region = Region((30, 200), (10, 205), cell)
    cells = pool(gqa, p, region, strongest=True)
    heads, rows, cols = (
        t.reshape(-1, 1, 1) if i == 0 else t for i, t in enumerate(map(torch.arange, cells.largest.shape))
    )
    query, key = cells.strongest[..., 0], cells.strongest[..., 1]
    seen = (cells.largest > 0).expand_as(query)
    found = weights[heads.expand_as(query), query, key]
    torch.testing.assert_close(found[seen], cells.largest[seen], rtol=0, atol=EXACT)
    assert torch.equal(((query - 30) // cell)[seen], rows[:, None].expand_as(query)[seen])
    assert torch.equal(((key - 10) // cell)[seen], cols.expand_as(key)[seen])


def test_rows_of_mass_add_up_to_one_and_means_leave_out_what_may_not_be_seen() -> None:
    gqa, p = long_layer()
    cells = pool(gqa, p, whole(16, 211, 211))
    torch.testing.assert_close(cells.mass.sum(-1), torch.ones(6, 14, dtype=torch.float64), rtol=0, atol=EXACT)
    first = gqa.rows(p, slice(0, 16))[:, :, :16].sum((1, 2)) / 136  # 16 · 17 / 2 pairs under the diagonal
    torch.testing.assert_close(cells.mean[:, 0, 0], first, rtol=0, atol=EXACT)
    assert cells.mean[0, 0, 1].isnan() and cells.largest[0, 0, 1] == 0


def test_rows_that_may_see_nothing_are_zero() -> None:
    mha = MHA(26, 3, 10)
    blind = windowed(mha, 0)
    p = mha.project(random(70, 26), {n: random(*s) for n, s in mha.shapes().items()}, RoPE(10), KVCache())
    cells = pool(blind, p, whole(8, 70, 70))
    assert not cells.largest.any() and not cells.total.any() and not cells.allowed.any()
    assert cells.mean.isnan().all()


def test_columns_that_may_not_be_seen_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    gqa, p = long_layer()
    made, scores = [], pooling._scores
    monkeypatch.setattr(pooling, "_scores", lambda *a: made.append((s := scores(*a)).numel()) or s)
    pool(gqa, p, whole(16, 211, 211))
    assert sum(made) == 6 * (64 * 64 + 64 * 128 + 64 * 192 + 19 * 211)
    made.clear()
    pool(windowed(gqa, 10), p, whole(16, 211, 211))
    assert sum(made) == 6 * (64 * 64 + 2 * 64 * 73 + 19 * 28)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Region((5, 5), (0, 3)), "queries (5 to 5) must be at least one token"),
        (lambda: Region((0, 5), (-1, 3)), "keys (-1 to 3) must be at least one token"),
        (lambda: Region((0, 5), (0, 3), 0), "cell (0) must be at least 1 token wide"),
        (lambda: pool(*long_layer(30), Region((0, 31), (0, 30))), "queries up to 31 were asked for; this text has 30"),
        (lambda: pool(*long_layer(30), Region((0, 30), (0, 99))), "keys up to 99 were asked for; this text has 30"),
        (lambda: pool(*long_layer(30), heads=[6]), "heads (6,) must be different ones of 0 to 5"),
        (lambda: pool(*long_layer(30), heads=[1, 1]), "heads (1, 1) must be different ones of 0 to 5"),
        (lambda: pool(*long_layer(30), heads=[]), "heads () must be different ones of 0 to 5"),
    ],
)
def test_what_cannot_be_pooled_is_refused(make, says: str) -> None:
    with pytest.raises(InputError) as refused:
        make()
    assert says in str(refused.value)
