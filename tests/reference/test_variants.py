"""Variants of SmolLM2 saved in transformers' layout and run there: Llama for shared heads, DeepSeek-V2 for MLA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import DeepseekV2Config, DeepseekV2ForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from headlight import load_model, run
from headlight.core.attention import GQA, MLA
from headlight.core.checkpoints import variant
from headlight.core.model import Model
from headlight.core.positions import RoPE
from headlight.core.surgery import Aligned
from headlight.core.surgery.calibration import second_moments
from headlight.core.surgery.conversions.to_mla import mla_model
from headlight.core.surgery.held_out import held_out
from headlight.core.surgery.whole import convert_model
from tests.reference.oracle import DEEP_WEIGHTS, TEXTS, apart, apart_relative, ask, weights_of

SHIPPED = sorted(path.parent for path in variant.FOLDER.glob("smollm2-*/model.safetensors"))


def saved(model: Model, folder: Path) -> PreTrainedModel:
    """The model in transformers' layout, written to a folder and read from there."""
    is_mla = isinstance(model.attention, MLA)
    with torch.device("meta"):
        theirs = (DeepseekV2ForCausalLM(deepseek(model)) if is_mla else LlamaForCausalLM(llama(model))).float()
    theirs.load_state_dict({name: t.clone() for name, t in state(model).items()}, assign=True)
    theirs.save_pretrained(folder)
    return type(theirs).from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


def sizes(model: Model) -> dict[str, object]:
    position, first = model.position, model.layers[0]
    assert isinstance(position, RoPE)
    return {
        "vocab_size": len(model.embedding), "hidden_size": model.attention.d_model, "num_hidden_layers": model.n_layers,
        "intermediate_size": len(first["up_proj.weight"]), "num_attention_heads": model.n_heads,
        "rms_norm_eps": model.eps, "max_position_embeddings": model.context, "tie_word_embeddings": False,
        "rope_parameters": {"rope_theta": position.theta, "rope_type": "default"},
    }  # fmt: skip


def llama(model: Model) -> LlamaConfig:
    attention = model.attention
    assert isinstance(attention, GQA)
    return LlamaConfig(**sizes(model), num_key_value_heads=attention.n_kv_heads, head_dim=attention.head_dim)


def deepseek(model: Model) -> DeepseekV2Config:
    a = model.attention
    assert isinstance(a, MLA)
    return DeepseekV2Config(
        **sizes(model), num_key_value_heads=a.n_heads, q_lora_rank=None, kv_lora_rank=a.kv_lora_rank,
        qk_nope_head_dim=a.qk_nope_head_dim, qk_rope_head_dim=a.qk_rope_head_dim, v_head_dim=a.v_head_dim,
        attention_bias=a.bias, first_k_dense_replace=model.n_layers,
    )  # fmt: skip


def state(model: Model) -> dict[str, Tensor]:
    """Their names of all parameters."""
    tensors = {"model.embed_tokens.weight": model.embedding, "lm_head.weight": model.head,
               "model.norm.weight": model.top["final_layernorm.weight"]}  # fmt: skip
    attention = model.attention.shapes()
    for index, params in enumerate(model.layers):
        for name, t in params.items():
            part = "self_attn." if name in attention else "" if "layernorm" in name else "mlp."
            tensors[f"model.layers.{index}.{part}{name}"] = t
    return tensors


def check(model: Model, folder: Path, text: str) -> None:
    result = run(model, text)
    answer = ask(saved(model, folder), result.tokens.ids)
    assert apart_relative(result.logits, answer.logits) < 1e-5
    assert apart(weights_of(result), answer.weights) < DEEP_WEIGHTS


@pytest.mark.parametrize("text", TEXTS[:2])
@pytest.mark.parametrize("convert", [
    lambda model, moments: convert_model(model, Aligned(), 1, moments),
    lambda model, moments: mla_model(model, moments, 40, 16),
], ids=["MQA", "MLA"])  # fmt: skip
def test_a_converted_sibling_is_what_transformers_reads_from_a_folder(
    convert: Callable[..., Model], text: str, tmp_path: Path
) -> None:
    model = load_model("gqa-rope", "cpu")
    check(convert(model, second_moments(model, held_out().passages[:1])), tmp_path, text)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_variant_is_what_transformers_reads_from_a_folder(
    folder: Path, smollm2: Model, tmp_path: Path
) -> None:
    check(variant.load(folder, smollm2), tmp_path, TEXTS[0])
