"""Llama-shaped decoders from a folder in the layout of `transformers`: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from headlight.core.attention import GQA, MHA, MQA
from headlight.core.checkpoints.folder import Config, Shapes, Weights, read_config
from headlight.core.errors import CheckpointError
from headlight.core.model import DecoderBlock, Model
from headlight.core.positions import RoPE
from headlight.core.tokenizer import Tokenizer

_LAYER_NAMES = {
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "o_proj": "self_attn.o_proj",
    "gate_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "down_proj": "mlp.down_proj",
    "input_layernorm": "input_layernorm",
    "post_attention_layernorm": "post_attention_layernorm",
}


def load(folder: Path, weights: Weights, name: str, title: str) -> Model:
    """A decoder with RMSNorm, SwiGLU, RoPE and grouped-query attention; raises CheckpointError for anything else."""
    config = read_config(folder)
    if config["hidden_act"] != "silu" or config.get("rope_scaling"):
        raise CheckpointError(f"{title} is no plain Llama: SwiGLU and unscaled RoPE are what this loader reads")
    attention = _attention(config)
    block = DecoderBlock(config["rms_norm_eps"])
    shapes = attention.shapes() | block.shapes(attention.d_model, config["intermediate_size"])
    embedding = weights["model.embed_tokens.weight"]
    return Model(
        name=name,
        title=title,
        context=config["max_position_embeddings"],
        tokenizer=Tokenizer.from_file(folder / "tokenizer.json"),
        attention=attention,
        position=RoPE(dim=attention.head_dim, theta=config["rope_theta"], layout="half"),
        block=block,
        embedding=embedding,
        layers=tuple(_layer(weights, i, shapes) for i in range(config["num_hidden_layers"])),
        top={"final_layernorm.weight": weights["model.norm.weight"]},
        head=embedding if config["tie_word_embeddings"] else weights["lm_head.weight"],
        eps=config["rms_norm_eps"],
    )


def _attention(config: Config) -> GQA:
    d_model, n_heads = config["hidden_size"], config["num_attention_heads"]
    n_kv_heads = config.get("num_key_value_heads", n_heads)
    head_dim = config.get("head_dim", d_model // n_heads)
    if n_kv_heads == n_heads:
        return MHA(d_model, n_heads, head_dim)
    return (
        MQA(d_model, n_heads, head_dim) if n_kv_heads == 1 else GQA(d_model, n_heads, head_dim, n_kv_heads=n_kv_heads)
    )


def _layer(weights: Weights, index: int, shapes: Shapes) -> dict[str, Tensor]:
    params = {
        f"{ours}.weight": weights[f"model.layers.{index}.{theirs}.weight"] for ours, theirs in _LAYER_NAMES.items()
    }
    return weights.checked(params, shapes, f"layer {index}")
