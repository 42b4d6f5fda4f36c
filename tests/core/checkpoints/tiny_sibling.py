"""Tiny decoders like the siblings, of every attention and encoding, on random weights in float64."""

from __future__ import annotations

import torch

from headlight.core.checkpoints import sibling
from headlight.core.checkpoints.folder import Config
from headlight.core.model import DecoderBlock, Model
from headlight.core.tokenizer import Tokenizer

CONFIG = {
    "d_model": 22, "n_layers": 3, "n_heads": 4, "head_dim": 6, "n_kv_heads": 2, "kv_lora_rank": 11, "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 6, "v_head_dim": 5, "q_lora_rank": 0, "d_ff": 31, "eps": 1e-5,
}  # fmt: skip


def tiny_sibling(attention: str, position: str, tokenizer: Tokenizer, seed: int = 0) -> Model:
    """A model of random weights, large enough that its attention is far from even."""
    config = Config(CONFIG | {"attention": attention, "position": position, "vocab_size": tokenizer.size})
    chance = torch.Generator().manual_seed(seed)
    params = {
        name: torch.randn(shape, generator=chance, dtype=torch.float64) * (1.0 if len(shape) == 1 else 0.5)
        for name, shape in sibling.shapes(config).items()
    }
    return Model(
        name=f"{attention}-{position}", title=f"{attention} {position}", context=64, tokenizer=tokenizer,
        attention=sibling.attention_of(config), position=sibling.position_of(config), block=DecoderBlock(1e-5),
        embedding=params["embedding.weight"], layers=tuple(sibling.layer_params(params, i) for i in range(3)),
        top={"final_layernorm.weight": params["final_layernorm.weight"]}, head=params["embedding.weight"],
    )  # fmt: skip
