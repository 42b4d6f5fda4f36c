"""BERT-shaped encoders from a folder in the layout of `transformers`: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from headlight.core.attention import MHA
from headlight.core.checkpoints.folder import Shapes, Weights, read_config
from headlight.core.errors import CheckpointError
from headlight.core.model import EncoderBlock, Model
from headlight.core.positions import Learned
from headlight.core.tokenizer import Tokenizer

_LAYER_NAMES = {
    "q_proj": "attention.self.query",
    "k_proj": "attention.self.key",
    "v_proj": "attention.self.value",
    "o_proj": "attention.output.dense",
    "attention_layernorm": "attention.output.LayerNorm",
    "up_proj": "intermediate.dense",
    "down_proj": "output.dense",
    "output_layernorm": "output.LayerNorm",
}


def load(folder: Path, weights: Weights, name: str, title: str) -> Model:
    """An encoder with learned absolute positions; raises CheckpointError for anything else."""
    config = read_config(folder)
    if config["hidden_act"] != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(f"{title} is no plain BERT: GELU and absolute positions are what this loader reads")
    d_model, n_heads = config["hidden_size"], config["num_attention_heads"]
    attention = MHA(d_model=d_model, n_heads=n_heads, head_dim=d_model // n_heads, causal=False, bias=True)
    block = EncoderBlock(config["layer_norm_eps"])
    shapes = attention.shapes() | block.shapes(d_model, config["intermediate_size"])
    return Model(
        name=name,
        title=title,
        context=config["max_position_embeddings"],
        tokenizer=Tokenizer.from_file(folder / "tokenizer.json"),
        attention=attention,
        position=Learned(weights["embeddings.position_embeddings.weight"]),
        block=block,
        # One sentence is all of type 0, so its type vector is part of every token's vector.
        embedding=weights["embeddings.word_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0],
        layers=tuple(_layer(weights, i, shapes) for i in range(config["num_hidden_layers"])),
        top={f"embedding_layernorm.{part}": weights[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias")},
        eps=config["layer_norm_eps"],
    )


def _layer(weights: Weights, index: int, shapes: Shapes) -> dict[str, Tensor]:
    parts = [(ours, theirs, part) for ours, theirs in _LAYER_NAMES.items() for part in ("weight", "bias")]
    params = {f"{ours}.{part}": weights[f"encoder.layer.{index}.{theirs}.{part}"] for ours, theirs, part in parts}
    return weights.checked(params, shapes, f"layer {index}")
