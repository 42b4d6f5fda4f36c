"""Conversions to a latent: exact at full rank, the best of their rank in their metric, and what can be absorbed."""

from __future__ import annotations

import pytest
import torch

from headlight.core.attention import Decoupled, Latent
from headlight.core.cache import DecodingCache, KVCache
from headlight.core.errors import ConfigError, InputError
from headlight.core.positions import Position, RoPE
from headlight.core.surgery import Decouple, JointSVD, TrainedLayer, WeightedSVD
from headlight.core.surgery.base import Conversion
from headlight.core.surgery.low_rank import joint, square_root
from headlight.core.surgery.rotary import chosen_dims, contribution, pairs_of
from tests.core.surgery.layers import D_MODEL, HEAD_DIM, LENGTH, N_HEADS, inputs, layer, out

SVDS: list[Conversion] = [JointSVD(), WeightedSVD()]
SOURCES = [
    pytest.param(n, rope, bias, id=f"{n} KV heads, {rope}, {'bias' if bias else 'no bias'}")
    for n in (6, 2, 1) for rope in (None, "half", "interleaved") for bias in (False, True)
]  # fmt: skip


@pytest.mark.parametrize("conversion", SVDS, ids=lambda c: c.title)
@pytest.mark.parametrize(("n", "rope", "bias"), SOURCES)
def test_a_latent_of_full_rank_loses_nothing(conversion, n, rope, bias):
    it = layer(n, rope, bias)
    full = conversion.settings(it.attention)[-1]
    assert full == min(2 * n * HEAD_DIM, D_MODEL) and conversion.exact(it.attention, it.position, full)
    new = conversion.convert(it, full)
    assert {name: tuple(t.shape) for name, t in new.params.items()} == new.attention.shapes()
    # The weighted one multiplies by the square root of a moment of condition 100, floored: rounding grows by that much.
    for before, after in zip(out(it), out(it, new), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-11)


@pytest.mark.parametrize("conversion", SVDS, ids=lambda c: c.title)
@pytest.mark.parametrize("rank", [1, 5, 11, 25])
def test_a_smaller_rank_is_what_is_cached_and_is_lossy(conversion, rank):
    it = layer(2, "half")
    new = conversion.convert(it, rank)
    assert all(t.is_contiguous() for t in new.params.values())  # safetensors takes no others
    assert new.attention == Latent(D_MODEL, N_HEADS, HEAD_DIM, n_kv_heads=2, kv_lora_rank=rank)
    cache = new.attention.attend(inputs()[:LENGTH], new.params, it.position).cache
    assert cache.nbytes == new.attention.cached_elements_per_token() * 8 * LENGTH == rank * 8 * LENGTH
    assert not conversion.exact(it.attention, it.position, rank)
    assert not torch.allclose(out(it, new)[1], out(it)[1], atol=1e-6)


def product(it: TrainedLayer, conversion: Conversion, rank: int) -> torch.Tensor:
    params = conversion.convert(it, rank).params
    return params["kv_b_proj.weight"] @ params["kv_a_proj.weight"]


@pytest.mark.parametrize("rank", [3, 9, 17])
def test_the_plain_svd_is_the_nearest_matrix_of_its_rank(rank):
    it = layer()
    weight = joint(it.params, it.attention)
    values = torch.linalg.svdvals(weight)
    lost = torch.linalg.norm(weight - product(it, JointSVD(), rank))
    torch.testing.assert_close(lost, values[rank:].square().sum().sqrt(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("rank", [3, 9, 17])
def test_the_weighted_svd_is_nearest_on_what_the_layer_reads_and_the_plain_one_for_the_weights(rank):
    it, h = layer(), inputs()
    weight = joint(it.params, it.attention)
    errors = {type(c): weight - product(it, c, rank) for c in SVDS}
    on_inputs = {kind: float((h @ error.T).square().mean()) for kind, error in errors.items()}
    alone = {kind: float(error.square().sum()) for kind, error in errors.items()}
    assert on_inputs[WeightedSVD] < 0.9 * on_inputs[JointSVD]
    assert alone[JointSVD] < 0.95 * alone[WeightedSVD]
    # What is left is what the singular values of W S say (SVD-LLM's claim).
    values = torch.linalg.svdvals(weight @ square_root(it.measured()))
    expected = values[rank:].square().sum() / len(weight)
    assert on_inputs[WeightedSVD] == pytest.approx(float(expected), rel=1e-5)


def test_any_square_root_gives_the_same_latent():
    it = layer()
    cholesky = torch.linalg.cholesky(it.measured())
    weight = joint(it.params, it.attention)
    u = torch.linalg.svd(weight @ cholesky, full_matrices=False).U[:, :9]
    torch.testing.assert_close(product(it, WeightedSVD(), 9), u @ u.T @ weight, rtol=0, atol=1e-9)


def test_what_calibration_never_showed_is_still_exact_at_full_rank():
    it = layer()
    few = torch.nn.functional.pad(inputs()[:5], (0, 1), value=1.0)  # [h; 1] of five tokens: a moment of rank 5
    it = TrainedLayer(it.attention, it.params, it.position, 0, few.T @ few / 5)
    new = WeightedSVD().convert(it, D_MODEL)
    torch.testing.assert_close(out(it, new)[1], out(it)[1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("bias", [False, True])
def test_without_turned_keys_a_latent_is_absorbed_and_gives_the_same(bias):
    it = layer(2, None, bias)
    new = WeightedSVD().convert(it, 11)
    x = inputs()[:LENGTH]
    p = new.attention.project(x, new.params, it.position, KVCache())
    weights, output = new.attention.absorbed(p.q, p.cache, p.q_pos, p.position, new.params)
    trace = new.attention.trace(p, new.params)
    torch.testing.assert_close(weights, trace.weights, rtol=0, atol=1e-13)
    torch.testing.assert_close(output, trace.out, rtol=0, atol=1e-13)


def test_turned_keys_cannot_be_absorbed_and_are_refused():
    it = layer(2, "half")
    new = JointSVD().convert(it, 11)
    p = new.attention.project(inputs()[:LENGTH], new.params, it.position, KVCache())
    with pytest.raises(ConfigError, match="RoPE turns keys, which then cannot be absorbed"):
        new.attention.absorbed(p.q, p.cache, p.q_pos, p.position, new.params)


@pytest.mark.parametrize("conversion", [JointSVD(), WeightedSVD(), Decouple(rotary=4)], ids=lambda c: type(c).__name__)
def test_a_converted_rotary_layer_decodes_what_it_reads_at_once(conversion):
    it = layer(2, "half")
    new, x, past = conversion.convert(it, 9), inputs()[:LENGTH], DecodingCache(capacity=2)
    whole = new.attention.attend(x, new.params, it.position).out
    for t in range(LENGTH):
        step = new.attention.step(x[t : t + 1], new.params, it.position, past)
        torch.testing.assert_close(step[0], whole[t], rtol=0, atol=1e-12)
        assert past.nbytes == new.attention.cached_elements_per_token() * 8 * (t + 1)


@pytest.mark.parametrize("layout", ["half", "interleaved"])
@pytest.mark.parametrize("bias", [False, True])
def test_decoupled_keys_keep_their_turned_dimensions_and_the_rest_loses_its_position(layout, bias):
    it = layer(2, layout, bias)
    conversion = Decouple(rotary=4, choice="uniform", weighted=False)
    full = conversion.settings(it.attention)[-1]
    new = conversion.convert(it, full)
    x = inputs()[:LENGTH]
    p = new.attention.project(x, new.params, it.position, KVCache())
    trained = it.attention.project(x, it.params, it.position, KVCache())
    unturned = it.attention.project(x, it.params, Position(), KVCache())
    dims = new.params["rope_dims"]
    for head in range(2):
        rest = [i for i in range(HEAD_DIM) if i not in dims[head].tolist()]
        torch.testing.assert_close(p.k[head, :, -4:], trained.k[head][:, dims[head]], rtol=0, atol=1e-12)
        torch.testing.assert_close(p.k[head, :, :-4], unturned.k[head][:, rest], rtol=0, atol=1e-11)
        torch.testing.assert_close(p.v[head], trained.v[head], rtol=0, atol=1e-11)
        for query in range(3 * head, 3 * head + 3):
            torch.testing.assert_close(p.q[query, :, -4:], trained.q[query][:, dims[head]], rtol=0, atol=1e-12)
    assert isinstance(new.attention, Decoupled) and new.attention.scale == it.attention.scale
    assert not conversion.exact(it.attention, it.position, full)


def test_decoupling_is_lossy_at_full_rank_only_by_the_lost_rotation():
    it = layer(2, "half")
    new = Decouple(rotary=8, choice="uniform").convert(it, Decouple(rotary=8).settings(it.attention)[-1])
    apart = float((out(it, new)[0] - out(it)[0]).abs().max())
    assert 1e-3 < apart < 0.9


def test_which_dimensions_are_kept():
    it = layer(2, "half")
    rope = it.position
    assert isinstance(rope, RoPE)
    assert pairs_of(rope).tolist() == [[0, 5], [1, 6], [2, 7], [3, 8], [4, 9]]
    assert pairs_of(RoPE(10, layout="interleaved")).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    kept = {choice: chosen_dims(choice, it, rope, 4).tolist() for choice in ("high", "low", "uniform")}
    assert kept == {"high": [[0, 1, 5, 6]] * 2, "low": [[3, 4, 8, 9]] * 2, "uniform": [[0, 4, 5, 9]] * 2}
    best = contribution(it, rope).topk(2, dim=1).indices.sort(dim=1).values
    expected = [sorted(pairs_of(rope)[row].flatten().tolist()) for row in best]
    assert chosen_dims("norm", it, rope, 4).tolist() == expected


def test_the_contribution_of_a_pair_is_the_size_of_its_queries_times_that_of_its_keys():
    it, h = layer(2, "half"), inputs()
    q, k = ((h @ it.params[f"{n}_proj.weight"].T).unflatten(1, (-1, HEAD_DIM)).square().mean(0) for n in "qk")
    for pair in range(5):
        sizes = [(each[:, pair] + each[:, pair + 5]).sqrt() for each in (q, k)]
        expected = sizes[0].reshape(2, 3).sum(1) * sizes[1]
        torch.testing.assert_close(contribution(it, it.position)[:, pair], expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    ("conversion", "rank", "says"),
    [
        (JointSVD(), 0, r"the rank \(0\) must be from 1 to 26: \[W_K; W_V\] has 40 rows and 26 columns"),
        (WeightedSVD(), 27, r"the rank \(27\) must be from 1 to 26"),
        (Decouple(rotary=4), 27, r"the rank \(27\) must be from 1 to 26: .* has 32 rows"),
    ],
)
def test_a_rank_that_does_not_exist_is_refused_with_what_does(conversion, rank, says):
    with pytest.raises(InputError, match=says):
        conversion.convert(layer(2, "half"), rank)


def test_nothing_is_decoupled_where_nothing_is_turned_or_the_width_does_not_fit():
    with pytest.raises(InputError, match=r"cannot be done to this model: its queries and keys are not rotated"):
        Decouple(rotary=4).convert(layer(2), 5)
    for width in (0, 3, HEAD_DIM):
        with pytest.raises(ConfigError, match=rf"qk_rope_head_dim \({width}\) must be even, from 2 to below head_dim"):
            Decouple(rotary=width).prepare(layer(2, "half"))
    with pytest.raises(ConfigError, match=r"choice \('best'\) must be one of norm, high, low, uniform"):
        Decouple(choice="best")


def test_a_weighted_conversion_without_calibration_is_refused():
    it = layer()
    with pytest.raises(InputError, match="give the second moment of its inputs"):
        WeightedSVD().convert(TrainedLayer(it.attention, it.params, it.position), 5)


def test_a_rank_below_one_is_no_latent():
    with pytest.raises(ConfigError, match=r"kv_lora_rank \(0\) must be positive"):
        Latent(D_MODEL, N_HEADS, HEAD_DIM, n_kv_heads=2, kv_lora_rank=0)
