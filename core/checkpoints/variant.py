"""Pretrained models in another attention variant, made and healed by `training/distill`: attention parameters over the packaged
model's, with which they share everything else.

A variant is a folder with config.json (model, attention and its sizes, position), model.safetensors (half precision) and
card.json. Its tensors are parameters of a layer ("layers.0.k_proj.weight"), or parts that make one from the packaged
model's, for matrices that changed little:

    fold        (folds, head_dim, head_dim): each for as many neighbouring query heads; on the rows of q_proj, W_h -> F W_h,
                and on the columns of o_proj, W_h -> W_h F
    down, up    (rank, in), (out, rank): added after it, W + up down
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from headlight.core.attention import GQA, MHA, MLA, MQA, Attention, Latent
from headlight.core.attention.base import Params
from headlight.core.attention.folds import fold_columns, fold_rows, repeat_heads
from headlight.core.checkpoints.folder import Config, Weights, read_config
from headlight.core.errors import CheckpointError
from headlight.core.model import Model
from headlight.core.positions import Position, RoPE

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "variants"
KINDS: Mapping[str, type[Attention]] = {"mha": MHA, "gqa": GQA, "mqa": MQA, "mla": MLA, "latent": Latent}
PARTS = ("fold", "down", "up")


def load(folder: Path, base: Model) -> Model:
    """The variant in `folder` of the packaged model `base`, on its device and in its precision.

    Everything but the attention is the packaged model's own tensors, not copies. Raises CheckpointError for what is damaged,
    incomplete, of another shape or of another model.
    """
    config = read_config(folder)
    if config["model"] != base.name:
        raise CheckpointError(f"{folder.name} is a variant of {config['model']}, not of {base.name}")
    attention = attention_of(config)
    tensors = _read(folder / "model.safetensors")
    layers = tuple(_layer(base, i, layer_tensors(tensors, i), attention, folder) for i in range(base.n_layers))
    position = position_of(config, base.position)
    return replace(base, name=folder.name, attention=attention, position=position, layers=layers)


def as_mha(base: Model) -> Model:
    """The same model with keys and values for every query head, copies of those it shared: exact, and a larger cache."""
    own = base.attention
    attention = MHA(own.d_model, own.n_heads, own.head_dim, own.causal, own.bias)
    layers = tuple(repeat_heads(params, own, own.n_heads) for params in base.layers)
    return replace(base, attention=attention, layers=layers)


def read_card(folder: Path) -> dict[str, Any]:
    """What is known of a variant: how it was converted and healed, and what it reaches; raises CheckpointError."""
    try:
        return dict(json.loads((folder / "card.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the card of {folder.name} cannot be read: {error}") from error


def config_of(model: str, attention: Attention, position: Position | None) -> Config:
    """config.json of a variant; position: None where it is the packaged model's."""
    kind = next(name for name, each in KINDS.items() if type(attention) is each)
    own = {} if position is None else {"position": asdict(position) | {"kind": "rope"}}
    if position is not None and type(position) is not RoPE:
        raise CheckpointError(f"a variant keeps the model's own encoding or has RoPE, not {type(position).__name__}")
    for row in own.values():
        row.pop("scaling", None)
    return Config({"model": model, "attention": kind} | asdict(attention) | own)


def attention_of(config: Config) -> Attention:
    """The attention that a configuration names, with the sizes it takes from there."""
    if config["attention"] not in KINDS:
        raise CheckpointError(f"config.json has the attention {config['attention']!r}; there are {', '.join(KINDS)}")
    kind = KINDS[config["attention"]]
    return kind(**{f.name: config[f.name] for f in fields(kind) if f.init})


def position_of(config: Config, own: Position) -> Position:
    """The variant's encoding: the model's own, or RoPE of a width and base of its own."""
    if "position" not in config:
        return own
    row = Config(config["position"])
    return RoPE(row["dim"], row["theta"], row["layout"])


def layer_tensors(tensors: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    """The tensors of one layer, without its prefix."""
    prefix = f"layers.{index}."
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def assembled(tensors: Mapping[str, Tensor], base: Params) -> dict[str, Tensor]:
    """A layer's attention parameters from the tensors of a variant and the packaged model's layer. Gradients flow through."""
    made = {name: t for name, t in tensors.items() if name.rpartition(".")[2] not in PARTS}
    for weight in sorted(_changed_names(tensors)):
        parts = {part: tensors[f"{weight}.{part}"] for part in PARTS if f"{weight}.{part}" in tensors}
        made[weight] = _changed(base[weight], parts, on_rows=weight.startswith("q_proj"))
    return made


def _changed(weight: Tensor, parts: Mapping[str, Tensor], on_rows: bool) -> Tensor:
    if "fold" in parts:
        weight = fold_rows(weight, parts["fold"]) if on_rows else fold_columns(weight, parts["fold"])
    return weight + parts["up"] @ parts["down"] if "up" in parts else weight


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} is damaged or unreadable: {error}") from error


def _layer(base: Model, index: int, tensors: Mapping[str, Tensor], attention: Attention, folder: Path) -> Params:
    own, where = base.layers[index], f"{folder.name}, layer {index}"
    missing = _missing(tensors, attention.shapes())
    if missing:
        raise CheckpointError(f"{where}: there is no {missing[0]}")
    made = _in_full_precision(tensors, own, where)
    rest = {name: t for name, t in own.items() if name not in base.attention.shapes()}
    new = {name: made[name].to(base.embedding) for name in attention.shapes()}
    return rest | Weights.checked(new, attention.shapes(), where)


def _in_full_precision(tensors: Mapping[str, Tensor], own: Params, where: str) -> dict[str, Tensor]:
    device = next(iter(own.values())).device
    wide = {name: t.to(device, torch.float32) for name, t in tensors.items()}
    try:
        return assembled(wide, {name: t.float() for name, t in own.items() if name in _changed_names(tensors)})
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{where}: its parts do not fit the packaged model: {error}") from error


def _changed_names(tensors: Mapping[str, Tensor]) -> set[str]:
    return {name.rpartition(".")[0] for name in tensors if name.rpartition(".")[2] in PARTS}


def _missing(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> Sequence[str]:
    there = set(tensors) | _changed_names(tensors)
    return [name for name in shapes if name not in there]
