"""What the Positions page shows: tables, turning pairs, the bound, layouts, scalings, the shift test, word order."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headlight import run
from headlight.core.analysis.word_order import both_ways
from headlight.core.attention import MLA
from headlight.core.errors import ConfigError, InputError
from headlight.core.lessons import longer, order, penalty, rotation, shift, tables
from headlight.core.model import Model
from headlight.core.positions import ALiBi, RoPE
from headlight.core.positions.scaling import Dynamic, Yarn
from tests.core.checkpoints.tiny_sibling import tiny_sibling

TEXT = "the old dog saw the young cat"
NUMBERS = st.lists(st.floats(-5, 5), min_size=20, max_size=20)


def query_key(numbers: list[float], layout: str = "half", theta: float = 100.0) -> rotation.QueryKey:
    q, k = torch.tensor(numbers, dtype=torch.float64).chunk(2)
    return rotation.QueryKey(q, k, RoPE(10, theta, layout=layout), scale=0.3, rest=0.7)  # type: ignore[arg-type]


def test_sinusoidal_dot_products_depend_on_the_distance_alone_and_are_highest_at_0() -> None:
    table = tables.sinusoidal(41, 14)
    here, there = tables.products(table, 5), tables.products(table, 17)
    torch.testing.assert_close(here[5:20], there[17:32], rtol=0, atol=1e-12)
    assert here.argmax() == 5 and here[5] == pytest.approx(7)


def test_a_wavelength_is_the_full_turn_of_its_columns() -> None:
    lengths = tables.wavelengths(14)
    assert lengths[0] == pytest.approx(2 * math.pi) and lengths[-1] < 10_000 * 2 * math.pi
    phases = torch.arange(14).div(2, rounding_mode="floor")
    table = tables.sinusoidal(3, 14)
    for d in range(14):
        wave = torch.sin if d % 2 == 0 else torch.cos
        assert table[2, d] == pytest.approx(float(wave(2 * math.pi * 2 / lengths[phases[d]])), abs=1e-12)


def test_cosines_are_those_of_torch_and_a_row_without_length_is_like_none() -> None:
    table = torch.randn(7, 5, generator=torch.Generator().manual_seed(1))
    table[3] = 0
    expected = torch.cosine_similarity(table[:, None].double(), table[None].double(), dim=-1)
    torch.testing.assert_close(tables.cosines(table), expected, rtol=0, atol=1e-12)


def test_a_position_beyond_the_table_is_refused() -> None:
    with pytest.raises(InputError, match="position 9 is not in this table, which has 9"):
        tables.products(tables.sinusoidal(9, 4), 9)


@given(NUMBERS, st.integers(0, 400), st.integers(0, 400), st.integers(0, 100), st.sampled_from(["half", "interleaved"]))
def test_moved_together_the_score_stays(numbers: list[float], q_at: int, k_at: int, by: int, layout: str) -> None:
    qk = query_key(numbers, layout)
    assert qk.score(q_at + by, k_at + by) == pytest.approx(qk.score(q_at, k_at), abs=1e-9)


@given(NUMBERS)
def test_the_pairs_add_up_to_the_score_at_every_distance(numbers: list[float]) -> None:
    qk = query_key(numbers)
    by_distance = qk.by_distance(9)
    for d in range(9):
        assert float(by_distance[d].sum()) + qk.rest == pytest.approx(qk.score(d, 0), abs=1e-12)
        torch.testing.assert_close(by_distance[d], qk.by_pair(d + 3, 3), rtol=0, atol=1e-9)


@given(NUMBERS, st.sampled_from(["half", "interleaved"]))
def test_the_bound_bounds_the_rotary_part_of_the_score(numbers: list[float], layout: str) -> None:
    qk = query_key(numbers, layout)
    assert (qk.by_distance(60).sum(-1).abs() <= qk.bound(60) + 1e-9).all()


def test_the_bound_is_the_papers_sum_worked_out_by_hand() -> None:
    # Two pairs, q = (1, 1 | 0, 0) half-split and k alike: h = (1, 1), so the largest step is to the 0 after the last one.
    one = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    qk = rotation.QueryKey(one, one, RoPE(4, 100.0), scale=0.5)
    for d in (0, 1, 7):
        second = abs(complex(math.cos(d), math.sin(d)) + complex(math.cos(d / 10), math.sin(d / 10)))
        assert float(qk.bound(8)[d]) == pytest.approx(0.5 * (1 + second), abs=1e-12)


@given(NUMBERS)
def test_a_right_conversion_changes_no_score_and_a_wrong_reading_none_at_distance_0(numbers: list[float]) -> None:
    qk = query_key(numbers)
    converted, wrong = qk.permuted_to("interleaved"), qk.read_as("interleaved")
    torch.testing.assert_close(converted.by_distance(30), qk.by_distance(30), rtol=0, atol=1e-12)
    assert wrong.score(4, 4) == pytest.approx(qk.score(4, 4), abs=1e-9)


def test_a_wrong_reading_shows_at_a_distance() -> None:
    qk = query_key([math.sin(3 * i) for i in range(20)])
    apart = (qk.read_as("interleaved").by_distance(20) - qk.by_distance(20)).sum(-1).abs()
    assert apart.max() > 0.1


def test_another_theta_turns_the_same_numbers() -> None:
    qk = query_key([1.0] * 20).with_theta(7.0)
    assert qk.rope.theta == 7.0
    assert float(qk.by_distance(2)[1, 1]) == pytest.approx(2 * 0.3 * math.cos(7 ** (-2 / 10)))


def test_two_equal_vectors_score_the_mean_of_cosines() -> None:
    qk = rotation.unit(6, 50.0)
    frequencies = RoPE(6, 50.0).frequencies(torch.float64)
    assert qk.score(0, 0) == pytest.approx(1)
    assert qk.score(9, 2) == pytest.approx(float((7 * frequencies).cos().mean()))


@pytest.mark.parametrize("attention", ["mha", "gqa", "mqa", "mla"])
def test_a_query_and_key_of_a_run_score_what_the_model_computed(attention: str, minilm: Model) -> None:
    model = tiny_sibling(attention, "rope", minilm.tokenizer)
    result = run(model, TEXT)
    for layer, head, query, key in ((0, 3, 6, 1), (2, 1, 4, 4), (1, 0, 7, 0)):
        qk = rotation.of_run(result, layer, head, query, key)
        expected = float(result.layers[layer].scores[head, query, key])
        assert qk.score(query, key) == pytest.approx(expected, abs=1e-10)
        assert (qk.q_pos, qk.k_pos, qk.scale) == (query, key, model.attention.head_dim**-0.5)


def test_a_scaled_softmax_and_turned_magnitude_are_counted(minilm: Model) -> None:
    for scaling in (Yarn(4.0, 8), Yarn(40.0, 8, mscale=0.7, mscale_all_dim=0.9)):
        model = tiny_sibling("mla", "rope", minilm.tokenizer)
        model = replace(model, position=RoPE(6, scaling=scaling))
        result = run(model, TEXT)
        qk = rotation.of_run(result, 1, 2, 5, 3)
        assert qk.score(5, 3) == pytest.approx(float(result.layers[1].scores[2, 5, 3]), abs=1e-10)
        assert abs(qk.score(5, 3) - qk.rest) <= float(qk.bound(3)[2])


def test_smollm2_scores_what_it_computed(smollm2: Model, sentence: str) -> None:
    result = run(smollm2, sentence, layers=[13])
    qk = rotation.of_run(result, 13, 8, 9, 1)
    assert qk.score(9, 1) == pytest.approx(float(result.layers[13].scores[8, 9, 1]), abs=1e-5)


def test_a_model_without_rope_is_refused(minilm: Model) -> None:
    with pytest.raises(InputError, match="minilm does not rotate"):
        rotation.of_run(run(minilm, TEXT), 0, 0, 1, 1)


@pytest.mark.parametrize("length", [7, 64, 500])
def test_scaled_frequencies_are_the_angles_that_rope_turns_by(length: int) -> None:
    for name, scaling in longer.scalings(4.0, 64).items():
        found = longer.frequencies(12, 500.0, scaling, length)
        angles = RoPE(12, 500.0, scaling=scaling).angles(torch.tensor([1, length - 1]), torch.float64)
        torch.testing.assert_close(found, angles[0], rtol=1e-12, atol=0, msg=name)


def test_scalings_slow_what_they_say() -> None:
    made = {name: longer.frequencies(64, 1e4, s, 16384) for name, s in longer.scalings(4.0, 4096).items()}
    slower = {name: made["none"] / f for name, f in made.items()}
    assert torch.allclose(slower["linear"], torch.full((32,), 4.0, dtype=torch.float64))
    for name in ("llama3", "yarn"):
        assert slower[name][0] == pytest.approx(1) and slower[name][-1] == pytest.approx(4)
    assert slower["dynamic"][0] == pytest.approx(1) and slower["dynamic"][-1] == pytest.approx(13)
    plain = longer.frequencies(64, 1e4, Dynamic(4.0, 4096), 4096)
    torch.testing.assert_close(plain, made["none"], rtol=1e-12, atol=0)


def test_alibi_is_the_models_own_and_blank_where_nobody_may_look() -> None:
    added = penalty.bias(6, 5)
    slopes = ALiBi().slopes(6)
    assert torch.equal(penalty.slopes(6), slopes)
    for q in range(5):
        for k in range(5):
            cell = added[:, q, k]
            assert cell.isnan().all() if k > q else torch.allclose(cell, -slopes * (q - k), atol=1e-15)
    assert penalty.weaker(2.0) == pytest.approx(math.e**2) and penalty.weaker(1e6) == math.inf
    with pytest.raises(ConfigError, match=r"n_heads \(0\) must be positive"):
        penalty.bias(0, 5)


@pytest.fixture
def mla(minilm: Model) -> Model:
    return tiny_sibling("mla", "rope", minilm.tokenizer)


@pytest.mark.parametrize("index", [0, 2])
def test_the_shift_test_reads_the_layer_that_the_model_runs(mla: Model, index: int) -> None:
    tokens = mla.tokens(TEXT)
    layer = shift.layer_of(mla, tokens, index)
    trace = run(mla, tokens).layers[index]
    scores = layer.scores(0, shift.after_up_projection)
    torch.testing.assert_close(
        scores, trace.scores.masked_fill(~trace.mask, float("nan")), equal_nan=True, rtol=0, atol=1e-12
    )
    weights = layer.weights(0, shift.after_up_projection).nan_to_num(0.0)
    torch.testing.assert_close(weights, trace.weights, rtol=0, atol=1e-12)


def test_the_right_order_does_not_notice_a_shift_and_the_wrong_one_does(mla: Model) -> None:
    layer = shift.layer_of(mla, mla.tokens(TEXT), 1)
    assert isinstance(layer.attention, MLA)
    wrong = shift.before_up_projection(shift.mixing(layer.attention, layer.params))
    assert shift.changes(layer, shift.after_up_projection, [1, 100]).max() < 1e-11
    assert shift.changes(layer, wrong, [1, 100]).amax(1).min() > 0.01
    assert torch.equal(shift.changes(layer, wrong, [0]), torch.zeros(1, 4, dtype=torch.float64))


def test_the_wrong_order_has_the_trained_up_projection_where_there_is_one(mla: Model) -> None:
    layer = shift.layer_of(mla, mla.tokens(TEXT), 0)
    attention: MLA = layer.attention  # type: ignore[assignment]
    mixing = shift.mixing(attention, layer.params)
    p = layer.project()
    latent_alone = p.cache.tensors["c_kv"] @ mixing[:, : attention.kv_lora_rank, : attention.qk_nope_head_dim]
    torch.testing.assert_close(latent_alone, p.k[..., : attention.qk_nope_head_dim], rtol=0, atol=1e-12)


def test_only_the_rotary_dimensions_move(mla: Model) -> None:
    moved = shift.layer_of(mla, mla.tokens(TEXT), 1).moved(100)
    for name in ("q", "k"):
        assert moved[name][:, :4].max() == 0 and moved[name][:, 4:].min() > 0
    assert moved["v"].max() == 0
    assert torch.equal(moved["k"][0, 4:], moved["k"][3, 4:])


def test_a_layer_that_is_no_mla_is_refused(minilm: Model, mla: Model) -> None:
    for model, layer in ((minilm, 0), (mla, 3), (mla, -1)):
        with pytest.raises(InputError, match=r"is no MLA layer|keeps no latent"):
            shift.layer_of(model, model.tokens(TEXT), layer)


SWAPPED = "the young cat saw the old dog"


@pytest.mark.parametrize("attention", ["mha", "mla"])
def test_without_positions_and_mask_two_orders_are_the_same_and_the_mask_alone_parts_them(
    attention: str, minilm: Model
) -> None:
    model = tiny_sibling(attention, "none", minilm.tokenizer)
    blind, masked = order.apart(both_ways(model), TEXT, SWAPPED), order.apart(model, TEXT, SWAPPED)
    assert not blind.tells and max(blind.attention, blind.leaving, blind.entering) < 1e-11
    assert masked.tells and masked.entering == 0 and masked.attention > 0.01


@pytest.mark.parametrize(("encoding", "enters"), [("sinusoidal", True), ("rope", False)])
def test_both_encodings_part_two_orders_each_at_its_place(encoding: str, enters: bool, minilm: Model) -> None:
    found = order.apart(both_ways(tiny_sibling("gqa", encoding, minilm.tokenizer)), TEXT, SWAPPED)
    assert found.tells and (found.entering > 0.01) == enters and found.first_attention > 0.01


def test_the_differences_are_those_of_a_word_with_itself(minilm: Model) -> None:
    model = tiny_sibling("gqa", "sinusoidal", minilm.tokenizer)
    found = order.apart(model, "dog bit man", "man bit dog")
    a, b = run(model, "dog bit man"), run(model, "man bit dog")
    places = [a.tokens.pieces.index(word) for word in ("dog", "bit", "man")]
    there = [b.tokens.pieces.index(word) for word in ("dog", "bit", "man")]
    change = [(b.hidden[j] - a.hidden[i]).norm() / a.hidden[i].norm() for i, j in zip(places, there, strict=True)]
    rest = [i for i in range(len(a.tokens)) if i not in places]
    change += [(b.hidden[i] - a.hidden[i]).norm() / a.hidden[i].norm() for i in rest]
    assert found.leaving == pytest.approx(float(max(change)), abs=1e-12)


def test_the_next_word_is_compared_where_both_end_alike(minilm: Model) -> None:
    model = tiny_sibling("gqa", "rope", minilm.tokenizer)
    found = order.apart(model, "dog bit man", "bit dog man").saying
    a, b = (run(model, text).logits for text in ("dog bit man", "bit dog man"))
    assert isinstance(a, Tensor) and isinstance(b, Tensor)
    expected = float((a[-1].softmax(-1) - b[-1].softmax(-1)).abs().sum() / 2)
    assert found == pytest.approx(expected, abs=1e-12) and 0 < expected <= 1


def test_positions_can_be_taken_away(minilm: Model) -> None:
    model = both_ways(order.without_positions(tiny_sibling("gqa", "rope", minilm.tokenizer)))
    assert not order.apart(model, TEXT, SWAPPED).tells


@pytest.mark.parametrize(
    "other", ["the old dog saw the young", "the old dog saw the young cat cat", "a b c", "", TEXT + "s"]
)
def test_other_words_are_refused(other: str, minilm: Model) -> None:
    model = tiny_sibling("mha", "none", minilm.tokenizer)
    with pytest.raises(InputError, match="the same words, each as often"):
        order.apart(model, TEXT, other)


def test_capital_letters_do_not_matter_and_a_word_that_is_twice_keeps_its_order(minilm: Model) -> None:
    tokens = minilm.tokens(TEXT)
    assert order.order_of(tokens, "The young CAT saw the old dog") == (0, 5, 6, 3, 4, 1, 2)
