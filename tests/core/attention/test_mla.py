"""Multi-head latent attention: both forms are one, position travels alone, and the cache is the latent."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headlight.core.attention import MLA
from headlight.core.cache import DecodingCache
from headlight.core.errors import ConfigError
from headlight.core.lessons.shift import LayerInput, after_up_projection, before_up_projection, changes
from headlight.core.positions import ALiBi, Position, RoPE
from headlight.core.positions.scaling import Yarn
from tests.core.variants import LENGTH, SIZES, build, on_random, random

R = SIZES["qk_rope_head_dim"]
ENCODINGS = {
    "none": Position(),
    "rope": RoPE(R, layout="interleaved"),
    "yarn": RoPE(R, layout="interleaved", scaling=Yarn(40.0, 16, mscale=0.707, mscale_all_dim=0.707)),
    "alibi": ALiBi(),
}


@pytest.mark.parametrize("q_lora_rank", [0, 9])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_attending_in_latent_space_is_the_same_attention(encoding: str, q_lora_rank: int) -> None:
    case = on_random(build(MLA, q_lora_rank=q_lora_rank), ENCODINGS[encoding])
    trace = case.attend()
    p = case.project()
    weights, out = case.attention.absorbed(p.q, p.cache, p.q_pos, p.position, case.params)
    torch.testing.assert_close(weights, trace.weights, rtol=0, atol=1e-13)
    torch.testing.assert_close(out, trace.out, rtol=0, atol=1e-12)


def test_decoding_in_latent_space_from_the_cache_is_reading_at_once() -> None:
    case, past = on_random(build(MLA), ENCODINGS["rope"]), DecodingCache(capacity=2)
    whole = case.attend().out
    for t in range(LENGTH):
        out = case.attention.step(case.x[t : t + 1], case.params, case.position, past)
        torch.testing.assert_close(out[0], whole[t], rtol=0, atol=1e-12)
        assert set(past.tensors) == {"c_kv", "k_rope"}


def layer() -> LayerInput:
    case = on_random(build(MLA), RoPE(R, layout="interleaved"))
    return LayerInput(case.attention, case.params, case.position, case.x)


def test_moving_all_positions_changes_nothing_in_decoupled_rope() -> None:
    assert changes(layer(), after_up_projection, [1, 100]).max() < 1e-12


def test_the_often_told_order_of_concatenation_loses_relative_position() -> None:
    """A widespread explanation concatenates the rotated vector with the latent *before* the up-projection.

    The up-projection then mixes rotated and plain dimensions, and the scores no longer depend on distance alone.
    """
    mixed = random(SIZES["n_heads"], SIZES["kv_lora_rank"] + R, layer().attention.head_dim, seed=7) / 3
    assert changes(layer(), before_up_projection(mixed), [100]).max() > 0.01


def test_values_carry_no_position() -> None:
    case = on_random(build(MLA), RoPE(R, layout="interleaved"))
    without = replace(case, position=Position())
    assert torch.equal(case.attend().v, without.attend().v)
    nope = SIZES["qk_nope_head_dim"]
    assert torch.equal(case.attend().k[..., :nope], without.attend().k[..., :nope])
    assert not torch.equal(case.attend().k[:, 1:, nope:], without.attend().k[:, 1:, nope:])


def test_the_latent_is_kept_after_its_norm_and_the_rotated_key_has_none() -> None:
    case = on_random(build(MLA), Position())
    down = case.x @ case.params["kv_a_proj_with_mqa.weight"].T
    c_kv, k_rope = down.split([SIZES["kv_lora_rank"], R], dim=-1)
    normed = c_kv / (c_kv.square().mean(-1, keepdim=True) + 1e-6).sqrt() * case.params["kv_a_layernorm.weight"]
    kept = case.attend().cache.tensors
    torch.testing.assert_close(kept["c_kv"], normed, rtol=0, atol=1e-13)
    torch.testing.assert_close(kept["k_rope"], k_rope, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kv_lora_rank": 0}, "kv_lora_rank (0) must be positive"),
        ({"qk_rope_head_dim": 5}, "qk_rope_head_dim (5) must be even"),
        ({"q_lora_rank": -1}, "q_lora_rank (-1) must be 0"),
        ({"v_head_dim": -2}, "v_head_dim (-2) must be positive"),
    ],
)
def test_an_impossible_latent_attention_is_refused(wrong: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace("(", r"\(").replace(")", r"\)")):
        build(MLA, **wrong)
