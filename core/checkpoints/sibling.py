"""The siblings: small decoders trained by `training/`, alike in all but their attention and their position encoding.

A sibling is a folder with config.json and model.safetensors (half precision); the tokenizer.json that all share lies
beside the folder. Input and output embeddings are one matrix E: tokens enter as E · sqrt(d_model) (Vaswani et al. 2017,
section 3.4) and leave through E.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headlight.core import ASSETS
from headlight.core.attention import Attention
from headlight.core.attention.variants import VARIANTS, VariantRow
from headlight.core.checkpoints.folder import Config, Weights, read_config
from headlight.core.errors import CheckpointError
from headlight.core.model import DecoderBlock, Model
from headlight.core.positions import Position
from headlight.core.positions.encodings import ENCODINGS, EncodingRow
from headlight.core.tokenizer import Tokenizer

FOLDER = ASSETS / "siblings"


def variants() -> dict[str, VariantRow]:
    """The attention variants that siblings are trained with, by name, in the order of menus."""
    return {name: row for name, row in VARIANTS.items() if row.trained}


def encodings() -> dict[str, EncodingRow]:
    """The position encodings that siblings are trained with, by name, in the order of menus."""
    return {name: row for name, row in ENCODINGS.items() if row.make is not None}


def title_of(attention: str, position: str) -> str:
    """What people call the sibling with an attention and an encoding of these names: "MHA · RoPE"."""
    return f"{VARIANTS[attention].title} · {ENCODINGS[position].title}"


def read_card(name: str) -> dict[str, Any]:
    """What is known of the training of a sibling ("mha-rope"): losses, tokens, time, hardware; raises CheckpointError."""
    try:
        card = json.loads((FOLDER / name / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the card of {name} cannot be read: {error}") from error
    return dict(card)


def load(folder: Path, device: torch.device, dtype: torch.dtype) -> Model:
    """The sibling in `folder`; raises CheckpointError for what is damaged, incomplete or of another shape."""
    config = read_config(folder)
    attention, position = attention_of(config), position_of(config)
    weights = Weights.from_file(folder / "model.safetensors", device, dtype)
    params = {name: weights[name] for name in shapes(config)}
    weights.checked(params, shapes(config), folder.name)
    embedding = params["embedding.weight"]
    return Model(
        name=f"{config['attention']}-{config['position']}",
        title=title_of(config["attention"], config["position"]),
        context=config["context"],
        tokenizer=Tokenizer.from_file(_tokenizer_file(folder)),
        attention=attention,
        position=position,
        block=DecoderBlock(config["eps"]),
        embedding=embedding * config["embedding_multiplier"],
        layers=tuple(layer_params(params, i) for i in range(config["n_layers"])),
        top={"final_layernorm.weight": params["final_layernorm.weight"]},
        head=embedding,
        eps=config["eps"],
    )


def attention_of(config: Config) -> Attention:
    """The attention that a configuration names, with the sizes it takes from there."""
    row = _row({name: row for name, row in VARIANTS.items() if row.saved}, config, "attention")
    return row.kind(**{name: config[name] for name in row.size_names})


def position_of(config: Config) -> Position:
    """The position encoding that a configuration names, for as many dimensions as its attention gives it of a head."""
    make: Callable[[int], Position] = _row(encodings(), config, "position").make
    return make(attention_of(config).rotary_width)


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape, weights [out, in]; "layers.0.q_proj.weight" is q_proj of the first layer."""
    d_model = config["d_model"]
    layer = DecoderBlock(config["eps"]).shapes(d_model, config["d_ff"]) | attention_of(config).shapes()
    layers = {f"layers.{i}.{name}": shape for i in range(config["n_layers"]) for name, shape in layer.items()}
    return {"embedding.weight": (config["vocab_size"], d_model), **layers, "final_layernorm.weight": (d_model,)}


def layer_params(params: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    """The parameters of one layer, by the names that blocks and attention know."""
    prefix = f"layers.{index}."
    return {name.removeprefix(prefix): t for name, t in params.items() if name.startswith(prefix)}


def _row(table: Mapping[str, Any], config: Config, key: str) -> Any:
    if config[key] not in table:
        raise CheckpointError(f"config.json has the {key} {config[key]!r}; siblings have {', '.join(table)}")
    return table[config[key]]


def _tokenizer_file(folder: Path) -> Path:
    # A folder's own, else the one beside it; what was made of a shipped sibling reads the tokenizer of the shipped ones.
    places = [place / "tokenizer.json" for place in (folder, folder.parent, FOLDER)]
    return next((path for path in places if path.exists()), places[1])
