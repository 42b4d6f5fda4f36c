"""SmolLM2 against transformers' LlamaForCausalLM: on our converted folder, and on transformers' own reading of GGUF."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, LlamaForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from headlight import load_model, run
from headlight.core.checkpoints import pretrained
from headlight.core.checkpoints.gguf_llama import convert
from headlight.core.checkpoints.packages import find_file
from headlight.core.model import rms_norm
from tests.reference.float64 import float64_oracle
from tests.reference.oracle import (
    DEEP_WEIGHTS,
    FLOAT32_RELATIVE,
    FLOAT32_WEIGHTS,
    FLOAT64,
    TEXTS,
    apart,
    apart_relative,
    ask,
    weights_of,
)

# Some 300 tokens: far enough apart for slow and fast rotary pairs to matter.
LONG = " ".join(f"Then the fox number {i} met another one." for i in range(25))


def _llama(dtype: torch.dtype) -> LlamaForCausalLM:
    folder = pretrained.smollm2_folder()
    return LlamaForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=dtype).eval()


@pytest.fixture(scope="module")
def from_gguf() -> LlamaForCausalLM:
    """transformers' own way from the GGUF file, without `from_pretrained`, which asks for one more package."""
    path: Path = find_file(pretrained.SMOLLM2_PACKAGE, ".gguf")
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    with torch.device("meta"):
        names = LlamaForCausalLM(config)
    tensors = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=names)["tensors"]
    model = LlamaForCausalLM._from_config(config, attn_implementation="eager")
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])  # tied to the embedding
    model.tie_weights()
    return model.eval()


@pytest.mark.parametrize("text", TEXTS)
def test_smollm2_is_transformers_llama_within_float32(smollm2, text):
    result = run(smollm2, text)
    answer = ask(_llama(torch.float32), result.tokens.ids)
    assert apart(weights_of(result), answer.weights) < (FLOAT32_WEIGHTS if text == TEXTS[0] else DEEP_WEIGHTS)
    assert apart_relative(result.hidden, answer.hidden) < FLOAT32_RELATIVE
    assert apart_relative(result.logits, answer.logits) < FLOAT32_RELATIVE


@pytest.mark.parametrize("text", TEXTS)
def test_each_layer_of_smollm2_gives_transformers_weights_on_the_same_input(smollm2, text):
    ids = smollm2.tokens(text).ids
    with torch.inference_mode():
        out = _llama(torch.float32)(torch.tensor([ids]), output_attentions=True, output_hidden_states=True)
        for params, hidden, weights in zip(smollm2.layers, out.hidden_states[:-1], out.attentions, strict=True):
            x = rms_norm(hidden[0], params["input_layernorm.weight"], smollm2.eps)
            assert apart(smollm2.attention.attend(x, params, smollm2.position).weights, weights[0]) < FLOAT32_WEIGHTS


def test_smollm2_is_transformers_llama_to_ten_digits_in_float64():
    ours = load_model("smollm2", "cpu", torch.float64)
    with float64_oracle():
        oracle = _llama(torch.float64)
        assert oracle.model.rotary_emb.inv_freq.dtype == torch.float64
        for text in (*TEXTS, LONG):
            result = run(ours, text)
            answer = ask(oracle, result.tokens.ids)
            assert apart(weights_of(result), answer.weights) < FLOAT64
            assert apart(result.hidden, answer.hidden) < FLOAT64
            assert apart(result.logits, answer.logits) < FLOAT64


def test_transformers_reads_the_same_weights_from_the_gguf_file(smollm2, from_gguf):
    assert torch.equal(smollm2.embedding, from_gguf.model.embed_tokens.weight)
    for ours, theirs in zip(smollm2.layers, from_gguf.model.layers, strict=True):
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            assert torch.equal(ours[f"{name}.weight"], getattr(theirs.self_attn, name).weight)
        for name in ("gate_proj", "up_proj", "down_proj"):
            assert torch.equal(ours[f"{name}.weight"], getattr(theirs.mlp, name).weight)


def test_transformers_finds_the_same_configuration_in_the_gguf_file(smollm2, from_gguf):
    config = from_gguf.config
    assert smollm2.n_layers == config.num_hidden_layers
    assert smollm2.attention.n_heads == config.num_attention_heads
    assert smollm2.attention.n_kv_heads == config.num_key_value_heads
    assert smollm2.attention.d_model == config.hidden_size
    assert smollm2.position.theta == config.rope_parameters["rope_theta"]
    assert smollm2.context == config.max_position_embeddings
    assert smollm2.eps == pytest.approx(config.rms_norm_eps)


def test_the_kept_copy_of_smollm2_is_what_the_converter_writes_today(tmp_path):
    # A change of the converter that does not raise its layout number would leave everyone with the old copy.
    kept = pretrained.smollm2_folder()
    fresh = convert(find_file(pretrained.SMOLLM2_PACKAGE, ".gguf"), tmp_path / "fresh")
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        assert filecmp.cmp(kept / name, fresh / name, shallow=False), f"{name} differs: raise pretrained._LAYOUT"
    shutil.rmtree(fresh)


def test_logits_are_those_of_transformers_reading_the_gguf_file(smollm2, from_gguf):
    result = run(smollm2, TEXTS[1])
    answer = ask(from_gguf, result.tokens.ids)
    assert apart(weights_of(result), answer.weights) < DEEP_WEIGHTS
    assert apart_relative(result.logits, answer.logits) < FLOAT32_RELATIVE
