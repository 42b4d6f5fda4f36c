"""One attention layer at a time against `transformers`: Llama with every RoPE scaling, DeepSeek-V2 and V3, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DeepseekV2Config, DeepseekV3Config, DynamicCache, LlamaConfig
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Attention, DeepseekV2RotaryEmbedding
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Attention, DeepseekV3RotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRotaryEmbedding

from headlight.core.attention import GQA, MLA, Attention
from headlight.core.positions import RoPE
from headlight.core.positions.scaling import Dynamic, Linear, Llama3, Scaling, Yarn
from tests.reference.float64 import float64_oracle

D_MODEL, N_HEADS, LENGTH, TRAINED, THETA = 42, 6, 29, 16, 1_000.0
TOLERANCE = 1e-10

Outcome = tuple[Tensor, Tensor, DynamicCache, dict[str, Tensor]]

SCALINGS: dict[str, tuple[dict[str, Any], Scaling]] = {
    "default": ({"rope_type": "default"}, Scaling()),
    "linear": ({"rope_type": "linear", "factor": 4.0}, Linear(4.0)),
    "dynamic": ({"rope_type": "dynamic", "factor": 3.0}, Dynamic(3.0, TRAINED)),
    "llama3": (
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": TRAINED},
        Llama3(8.0, TRAINED),
    ),
    "yarn": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED},
        Yarn(4.0, TRAINED),
    ),
    "yarn without rounding": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED, "truncate": False},
        Yarn(4.0, TRAINED, truncate=False),
    ),
}  # fmt: skip
DEEPSEEK_YARN = {
    "rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": TRAINED, "beta_fast": 32, "beta_slow": 1,
    "mscale": 0.707, "mscale_all_dim": 0.707,
}  # fmt: skip


def reference(layer_class: type, rotary_class: type, config: Any) -> Outcome:
    """Output, weights, cache and parameters of a randomly initialised layer of `transformers` on `text()`."""
    config._attn_implementation = "eager"
    with float64_oracle(), torch.no_grad():
        layer = layer_class(config, layer_idx=0).double().eval()
        for i, parameter in enumerate(layer.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)).double() / 4)
        rotary, cache = rotary_class(config).double(), DynamicCache(config=config)
        positions = torch.arange(LENGTH)[None]
        mask = torch.full((LENGTH, LENGTH), float("-inf"), dtype=torch.float64).triu(1)[None, None]
        out, weights = layer(
            text()[None],
            position_embeddings=rotary(text()[None], positions),
            attention_mask=mask,
            past_key_values=cache,
        )
    return out[0], weights[0], cache, dict(layer.named_parameters())


def text() -> Tensor:
    return torch.randn(LENGTH, D_MODEL, generator=torch.Generator().manual_seed(99), dtype=torch.float64)


def compare(attention: Attention, position: RoPE, expected: Outcome) -> Any:
    out, weights, _, params = expected
    assert {name: tuple(p.shape) for name, p in params.items()} == attention.shapes()
    trace = attention.attend(text(), {name: p.detach() for name, p in params.items()}, position)
    assert (trace.weights - weights).abs().max() < TOLERANCE
    assert (trace.out - out).abs().max() < TOLERANCE
    return trace


@pytest.mark.parametrize("n_kv_heads", [6, 2, 1])
@pytest.mark.parametrize("name", SCALINGS)
def test_a_llama_layer_is_transformers_own(name: str, n_kv_heads: int) -> None:
    theirs, ours = SCALINGS[name]
    config = LlamaConfig(
        hidden_size=D_MODEL, num_attention_heads=N_HEADS, num_key_value_heads=n_kv_heads, head_dim=10,
        max_position_embeddings=TRAINED, rope_parameters={"rope_theta": THETA, **theirs},
    )  # fmt: skip
    expected = reference(LlamaAttention, LlamaRotaryEmbedding, config)
    attention = GQA(D_MODEL, N_HEADS, 10, n_kv_heads=n_kv_heads)
    trace = compare(attention, RoPE(10, theta=THETA, scaling=ours), expected)
    kept = expected[2].layers[0]
    assert (trace.cache.tensors["k"] - kept.keys[0]).abs().max() < TOLERANCE
    assert (trace.cache.tensors["v"] - kept.values[0]).abs().max() < TOLERANCE


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("yarn", [False, True])
@pytest.mark.parametrize("q_lora_rank", [None, 13])
@pytest.mark.parametrize("version", ["V2", "V3"])
def test_a_deepseek_layer_is_transformers_own(version: str, q_lora_rank: int | None, yarn: bool, bias: bool) -> None:
    sizes = {"kv_lora_rank": 14, "qk_nope_head_dim": 8, "qk_rope_head_dim": 6, "v_head_dim": 5}
    rope = {"rope_theta": THETA, **(DEEPSEEK_YARN if yarn else {"rope_type": "default"})}
    config_class, layer, rotary = {
        "V2": (DeepseekV2Config, DeepseekV2Attention, DeepseekV2RotaryEmbedding),
        "V3": (DeepseekV3Config, DeepseekV3Attention, DeepseekV3RotaryEmbedding),
    }[version]
    config = config_class(
        hidden_size=D_MODEL, num_attention_heads=N_HEADS, num_key_value_heads=N_HEADS, q_lora_rank=q_lora_rank,
        attention_bias=bias, max_position_embeddings=TRAINED, rope_parameters=rope, **sizes,
    )  # fmt: skip
    expected = reference(layer, rotary, config)
    attention = MLA(D_MODEL, N_HEADS, bias=bias, q_lora_rank=q_lora_rank or 0, **sizes)
    scaling = Yarn(40.0, TRAINED, mscale=0.707, mscale_all_dim=0.707) if yarn else Scaling()
    trace = compare(attention, RoPE(6, theta=THETA, layout="interleaved", scaling=scaling), expected)
    kept = expected[2].layers[0]
    assert (trace.cache.tensors["c_kv"] - kept.keys[0, 0]).abs().max() < TOLERANCE
    k_rope = trace.cache.tensors["k_rope"]
    # V3 of transformers may keep the rotated key with its even dimensions first; the scores are the same.
    stored = [k_rope, torch.cat([k_rope[:, 0::2], k_rope[:, 1::2]], dim=-1)]
    assert min((each - kept.values[0, 0]).abs().max() for each in stored) < TOLERANCE
