"""Configurations at the edges, against `transformers` in float64: at once, in pieces and token by token."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BloomConfig,
    DeepseekV2Config,
    DeepseekV3Config,
    GPTJConfig,
    LlamaConfig,
    PhiConfig,
    Qwen2Config,
)
from transformers.models.bloom import modeling_bloom
from transformers.models.deepseek_v2 import modeling_deepseek_v2
from transformers.models.deepseek_v3 import modeling_deepseek_v3
from transformers.models.gptj import modeling_gptj
from transformers.models.llama import modeling_llama
from transformers.models.phi import modeling_phi
from transformers.models.qwen2 import modeling_qwen2

from headlight.core.attention import GQA, MHA, MLA, MQA
from headlight.core.positions import ALiBi, Position, RoPE
from headlight.core.positions.scaling import Dynamic, Linear, Llama3, Scaling, Yarn
from tests.core.variants import random
from tests.reference.layers.both import Oracle, read_both, same

LENGTH, TRAINED = 29, 16
WAYS = {"at once": (LENGTH,), "in pieces": (11, 1, 1, 7, 9), "token by token": (1,) * LENGTH}
ways = pytest.mark.parametrize("sizes", WAYS.values(), ids=WAYS)

PLAIN = {"rope_type": "default"}


@dataclass(frozen=True)
class Far(RoPE):
    """Positions that start far into a text."""

    start: int = 0

    def at_qk(self, t: Tensor, pos: Tensor) -> Tensor:
        return super().at_qk(t, pos + self.start)


def llama(sizes: tuple[int, int, int, int], *, bias: bool = False, rope: dict[str, Any] | None = None) -> Oracle:
    d_model, n_heads, n_kv_heads, head_dim = sizes
    config = LlamaConfig(
        hidden_size=d_model, num_attention_heads=n_heads, num_key_value_heads=n_kv_heads, head_dim=head_dim,
        attention_bias=bias, max_position_embeddings=TRAINED,
        rope_parameters={"rope_theta": 10_000.0, **(rope or PLAIN)},
    )  # fmt: skip
    return Oracle(lambda c: modeling_llama.LlamaAttention(c, 0), config, rotary=modeling_llama.LlamaRotaryEmbedding)


# d_model, n_heads, n_kv_heads, head_dim: heads wider and narrower than d_model / n_heads, one head, many.
SHAPES = [(42, 6, 1, 10), (42, 6, 3, 22), (42, 6, 2, 2), (13, 1, 1, 34), (55, 5, 5, 4), (38, 19, 1, 6)]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_llama_layer_of_any_shape_is_transformers_own(shape: tuple[int, int, int, int], bias: bool) -> None:
    d_model, n_heads, n_kv_heads, head_dim = shape
    theirs = llama(shape, bias=bias)
    attention = GQA(d_model, n_heads, head_dim, bias=bias, n_kv_heads=n_kv_heads)
    assert {name: tuple(p.shape) for name, p in theirs.params.items()} == attention.shapes()
    x = random(LENGTH, d_model, seed=99)
    trace = read_both(attention, RoPE(head_dim), theirs.params, theirs, x, WAYS["in pieces"])
    for ours, kept in zip(("k", "v"), theirs.kept(), strict=True):
        same(trace.cache.tensors[ours], kept)


@pytest.mark.parametrize("bias", [False, True])
def test_multi_query_attention_with_and_without_biases_is_llama_with_one_kv_head(bias: bool) -> None:
    theirs = llama((42, 7, 1, 10), bias=bias)
    read_both(MQA(42, 7, 10, bias=bias), RoPE(10), theirs.params, theirs, random(LENGTH, 42, seed=99), (LENGTH,))


def test_one_token_alone_is_read_as_transformers_reads_it() -> None:
    theirs = llama((42, 6, 2, 10))
    trace = read_both(GQA(42, 6, 10, n_kv_heads=2), RoPE(10), theirs.params, theirs, random(1, 42), (1,))
    assert bool((trace.weights == 1).all())


@pytest.mark.parametrize("theta", [1.5, 100.0, 5e5, 1e9, 1e30])
def test_any_base_of_the_frequencies_is_transformers_own(theta: float) -> None:
    theirs = llama((42, 6, 2, 10), rope={"rope_type": "default", "rope_theta": theta})
    x = random(LENGTH, 42, seed=99)
    read_both(GQA(42, 6, 10, n_kv_heads=2), RoPE(10, theta=theta), theirs.params, theirs, x, WAYS["in pieces"])


@pytest.mark.parametrize("start", [4_093, 131_071])
def test_positions_far_into_a_text_are_turned_as_transformers_turns_them(start: int) -> None:
    theirs = llama((42, 6, 2, 10))
    x, position = random(LENGTH, 42, seed=99), Far(10, start=start)
    attention = GQA(42, 6, 10, n_kv_heads=2)
    read_both(attention, position, theirs.params, theirs, x, WAYS["in pieces"], start=start)


def test_a_text_of_a_thousand_tokens_is_read_as_transformers_reads_it() -> None:
    theirs = llama((42, 6, 2, 10))
    x = random(1009, 42, seed=99)
    read_both(GQA(42, 6, 10, n_kv_heads=2), RoPE(10), theirs.params, theirs, x, (997, 1, 11))


SCALINGS: dict[str, tuple[dict[str, Any], float, Scaling]] = {
    "linear": ({"rope_type": "linear", "factor": 2.5}, 1e4, Linear(2.5)),
    "dynamic": ({"rope_type": "dynamic", "factor": 2.0}, 1e4, Dynamic(2.0, TRAINED)),
    "llama3 with a narrow ramp": (
        {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.5, "high_freq_factor": 1.75,
         "original_max_position_embeddings": 53},
        1e4, Llama3(32.0, 53, 1.5, 1.75),
    ),
    "yarn of factor 1": (
        {"rope_type": "yarn", "factor": 1.0, "original_max_position_embeddings": TRAINED}, 1e4, Yarn(1.0, TRAINED),
    ),
    "yarn with a temperature of its own": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "attention_factor": 1.7},
        1e4, Yarn(4.0, 64, attention_factor=1.7),
    ),
    "yarn with other turns": (
        {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 512, "beta_fast": 64, "beta_slow": 2},
        50.0, Yarn(8.0, 512, beta_fast=64.0, beta_slow=2.0),
    ),
    "yarn whose every pair is slow": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 5}, 1e4, Yarn(4.0, 5),
    ),
    "yarn trained on less than a turn": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 3}, 10.0, Yarn(4.0, 3),
    ),
    "yarn whose every pair is fast": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 131_072}, 10.0, Yarn(4.0, 131_072),
    ),
}  # fmt: skip


@ways
@pytest.mark.parametrize("name", SCALINGS)
def test_every_scaling_of_rope_decodes_as_transformers_does(name: str, sizes: tuple[int, ...]) -> None:
    rope, theta, scaling = SCALINGS[name]
    theirs = llama((42, 6, 2, 10), rope={"rope_theta": theta, **rope})
    position = RoPE(10, theta=theta, scaling=scaling)
    read_both(GQA(42, 6, 10, n_kv_heads=2), position, theirs.params, theirs, random(LENGTH, 42, seed=99), sizes)


def test_qwen2s_biases_on_queries_keys_and_values_alone_drop_straight_in() -> None:
    config = Qwen2Config(
        hidden_size=42, num_attention_heads=6, num_key_value_heads=3, rope_parameters={"rope_theta": 1e6, **PLAIN},
        layer_types=["full_attention"], num_hidden_layers=1, head_dim=14,
    )  # fmt: skip
    theirs = Oracle(
        lambda c: modeling_qwen2.Qwen2Attention(c, 0),
        config,
        modeling_qwen2,
        rotary=modeling_qwen2.Qwen2RotaryEmbedding,
    )
    assert "o_proj.bias" not in theirs.params
    x = random(LENGTH, 42, seed=99)
    attention = GQA(42, 6, 14, bias=True, n_kv_heads=3)
    read_both(attention, RoPE(14, theta=1e6), theirs.params, theirs, x, WAYS["in pieces"])


@pytest.mark.parametrize("part", [0.17, 0.5, 1.0])
def test_rope_on_a_part_of_each_head_is_phis(part: float) -> None:
    config = PhiConfig(
        hidden_size=72, num_attention_heads=6, num_key_value_heads=2, num_hidden_layers=1,
        rope_parameters={"rope_theta": 1e4, "partial_rotary_factor": part, **PLAIN},
    )  # fmt: skip
    theirs = Oracle(
        lambda c: modeling_phi.PhiAttention(c, 0), config, modeling_phi, rotary=modeling_phi.PhiRotaryEmbedding
    )
    params = {name.replace("dense", "o_proj"): p for name, p in theirs.params.items()}
    attention, x = GQA(72, 6, 12, bias=True, n_kv_heads=2), random(LENGTH, 72, seed=99)
    read_both(attention, RoPE(int(part * 12)), params, theirs, x, WAYS["in pieces"])


def test_rope_on_interleaved_pairs_of_a_part_of_each_head_is_gpt_js() -> None:
    config = GPTJConfig(n_embd=66, n_head=3, n_layer=1, rotary_dim=14, n_positions=31, vocab_size=37)
    theirs = Oracle(lambda c: modeling_gptj.GPTJAttention(c, layer_idx=0), config, modeling_gptj)
    params = {name.replace("out_proj", "o_proj"): p for name, p in theirs.params.items()}
    # GPT-J's layer takes the positions themselves, and calls its cache by another name.
    sizes = WAYS["in pieces"]
    read, end = theirs.layer.forward, iter([0, *torch.tensor(sizes).cumsum(0).tolist()])

    def forward(x: Tensor, attention_mask: Tensor, past_key_values: Any) -> Any:
        places = next(end) + torch.arange(x.shape[1])[None]
        return read(x, attention_mask=attention_mask, layer_past=past_key_values, position_ids=places)

    theirs.layer.forward = forward
    read_both(MHA(66, 3, 22), RoPE(14, layout="interleaved"), params, theirs, random(LENGTH, 66, seed=99), sizes)


@pytest.mark.parametrize("n_heads", [4, 6])
def test_alibi_in_blooms_layer_is_transformers_own_once_its_residual_is_taken_off(n_heads: int) -> None:
    d_model = n_heads * 7
    config = BloomConfig(hidden_size=d_model, n_head=n_heads, n_layer=1, hidden_dropout=0.0, attention_dropout=0.0)
    theirs = Oracle(lambda c: modeling_bloom.BloomAttention(c, layer_idx=0), config, modeling_bloom)
    params = {name.replace("dense", "o_proj"): p for name, p in theirs.params.items()}
    for kind in ("weight", "bias"):  # rows are (head, {q, k, v}, head_dim)
        fused = params.pop(f"query_key_value.{kind}").unflatten(0, (n_heads, 3, 7))
        params |= {f"{name}_proj.{kind}": fused[:, i].flatten(0, 1) for i, name in enumerate("qkv")}
    read = theirs.layer.forward

    def forward(x: Tensor, attention_mask: Tensor, past_key_values: Any) -> Any:
        everything = torch.ones(1, attention_mask.shape[-1], dtype=torch.float64)
        alibi = modeling_bloom.build_alibi_tensor(everything, n_heads, torch.float64)
        residual = random(*x.shape, seed=5)  # any: the layer adds it to its output, which ours leaves to the block
        out, weights = read(x, residual, alibi, attention_mask, layer_past=past_key_values)
        return out - residual, weights

    theirs.layer.forward = forward
    attention = MHA(d_model, n_heads, 7, bias=True)
    read_both(attention, ALiBi(), params, theirs, random(LENGTH, d_model, seed=99), WAYS["in pieces"])


# kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim: values wider than keys, hardly any of the key turned,
# nearly all of it, a latent of two numbers. (transformers' V2 takes even ones only.)
LATENTS = [(14, 8, 6, 19), (26, 12, 2, 1), (6, 2, 22, 7), (2, 4, 8, 5)]
VERSIONS: dict[str, tuple[type, ModuleType, str]] = {
    "V2": (DeepseekV2Config, modeling_deepseek_v2, "DeepseekV2"),
    "V3": (DeepseekV3Config, modeling_deepseek_v3, "DeepseekV3"),
}
NAMES = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


def deepseek(
    version: str, latent: tuple[int, ...], q_lora_rank: int, rope: dict[str, Any], turn: Any = None, **more: Any
) -> Oracle:
    make, module, name = VERSIONS[version]
    config = make(
        hidden_size=42, num_attention_heads=6, num_key_value_heads=6, q_lora_rank=q_lora_rank or None,
        num_hidden_layers=1, max_position_embeddings=TRAINED, rope_parameters={"rope_theta": 1e3, **rope},
        **dict(zip(NAMES, latent, strict=True)), **more,
    )  # fmt: skip
    layer, rotary = getattr(module, f"{name}Attention"), getattr(module, f"{name}RotaryEmbedding")
    return Oracle(lambda c: layer(c, 0), config, module, rotary=turn or rotary)


def mla(latent: tuple[int, ...], q_lora_rank: int, **more: Any) -> MLA:
    return MLA(42, 6, q_lora_rank=q_lora_rank, **dict(zip(NAMES, latent, strict=True)), **more)


@pytest.mark.parametrize("q_lora_rank", [0, 3])
@pytest.mark.parametrize("latent", LATENTS, ids=str)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_deepseek_layer_of_any_shape_decodes_as_transformers_does(
    version: str, latent: tuple[int, ...], q_lora_rank: int
) -> None:
    theirs = deepseek(version, latent, q_lora_rank, PLAIN)
    attention = mla(latent, q_lora_rank)
    assert {name: tuple(p.shape) for name, p in theirs.params.items()} == attention.shapes()
    position = RoPE(attention.qk_rope_head_dim, theta=1e3, layout="interleaved")
    trace = read_both(attention, position, theirs.params, theirs, random(LENGTH, 42, seed=99), WAYS["in pieces"])
    c_kv, k_rope = (kept[0] for kept in theirs.kept())
    same(trace.cache.tensors["c_kv"], c_kv)
    ours = trace.cache.tensors["k_rope"]  # V3 of transformers keeps even dimensions first, then the odd ones
    same(ours if version == "V2" else torch.cat([ours[:, 0::2], ours[:, 1::2]], dim=-1), k_rope)


YARNS = {
    "both temperatures, which differ": {"mscale": 0.5, "mscale_all_dim": 1.3},
    "on cos and sin alone": {"mscale": 0.8},
    "on the softmax alone": {"mscale_all_dim": 0.8},
}


@ways
@pytest.mark.parametrize("yarn", YARNS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_deepseek_layer_with_yarn_decodes_as_transformers_does(
    version: str, yarn: str, sizes: tuple[int, ...]
) -> None:
    rope = {"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": TRAINED, **YARNS[yarn]}
    theirs = deepseek(version, LATENTS[0], 3, rope)
    position = RoPE(6, theta=1e3, layout="interleaved", scaling=Yarn(40.0, TRAINED, **YARNS[yarn]))
    read_both(mla(LATENTS[0], 3), position, theirs.params, theirs, random(LENGTH, 42, seed=99), sizes)


def test_deepseeks_layer_with_half_split_pairs_is_our_half_layout() -> None:
    theirs = deepseek("V3", LATENTS[0], 3, PLAIN, rope_interleave=False)
    trace = read_both(
        mla(LATENTS[0], 3), RoPE(6, theta=1e3), theirs.params, theirs, random(LENGTH, 42, seed=99), WAYS["in pieces"]
    )  # fmt: skip
    same(trace.cache.tensors["k_rope"], theirs.kept()[1][0])


def test_the_latents_norm_has_its_own_eps_whatever_the_models_is() -> None:
    theirs = deepseek("V3", LATENTS[0], 3, PLAIN, rms_norm_eps=0.1)
    position, x = RoPE(6, theta=1e3, layout="interleaved"), random(LENGTH, 42, seed=99) / 500
    read_both(mla(LATENTS[0], 3), position, theirs.params, theirs, x, WAYS["in pieces"])


@pytest.mark.parametrize("q_lora_rank", [0, 3])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_latent_layer_without_a_rotated_part_is_transformers_own(version: str, q_lora_rank: int) -> None:
    # transformers' rotary module cannot turn nothing; its layers can be handed an empty table.
    def nothing(x: Tensor, positions: Tensor) -> Any:
        empty = x.new_zeros(*positions.shape, 0)
        return empty.to(torch.complex128) if version == "V2" else (empty, empty)

    latent = (14, 8, 0, 6)
    theirs = deepseek(version, latent, q_lora_rank, PLAIN, turn=lambda config: nothing)
    attention, x = mla(latent, q_lora_rank), random(LENGTH, 42, seed=99)
    trace = read_both(attention, Position(), theirs.params, theirs, x, WAYS["in pieces"])
    same(trace.cache.tensors["c_kv"], theirs.kept()[0][0])
    assert trace.cache.nbytes == attention.cached_elements_per_token() * 8 * LENGTH == 14 * 8 * LENGTH
