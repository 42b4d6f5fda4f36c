"""What distillation begins from: a converted model as the tensors of a variant (`core/checkpoints/variant.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from headlight.core.attention import Attention
from headlight.core.model import Model
from headlight.core.positions import Position
from headlight.core.surgery import TrainedLayer, WeightedSVD
from headlight.core.surgery.base import with_kv_heads
from headlight.core.surgery.conversions.aligned import merge
from headlight.core.surgery.conversions.to_mla import as_mla, encoding, rope_of, sizes
from headlight.core.surgery.whole import Moments, layer_of


@dataclass(frozen=True, eq=False)
class Start:
    """attention: what the model becomes; position: None where the encoding stays; tensors: all that is trained, float32."""

    attention: Attention
    position: Position | None
    tensors: dict[str, Tensor]


Starter = Callable[[Model, Moments], Start]


def fewer_heads(n_kv_heads: int, rank: int = 0) -> Starter:
    """Aligned merging; rank: of the changes to q_proj and o_proj beyond their folds, 0 for whole matrices."""

    def layer_tensors(layer: TrainedLayer) -> dict[str, Tensor]:
        merged = merge(layer, n_kv_heads)
        params = merged.params(layer)
        if not rank:
            return params
        folds = {"q_proj.weight.fold": merged.keys.folds, "o_proj.weight.fold": merged.values.folds}
        return _without_matrices(params) | folds | low_rank(layer, params["o_proj.weight"], rank)

    def start(model: Model, moments: Moments) -> Start:
        attention = with_kv_heads(layer_of(model, 0).attention, n_kv_heads)
        return Start(attention, None, _all(model, moments, layer_tensors))

    return start


def mla(kv_lora_rank: int, rotary: int, rank: int) -> Starter:
    """MLA with one shared rotated key; o_proj begins as it was, q_proj with the rotated part of each head folded."""

    def layer_tensors(layer: TrainedLayer) -> dict[str, Tensor]:
        made = as_mla(layer, kv_lora_rank, rotary)
        tensors = _without_matrices(made.params) | {"q_proj.weight.fold": made.query_folds}
        return tensors | low_rank(layer, layer.params["o_proj.weight"].double(), rank)

    def start(model: Model, moments: Moments) -> Start:
        layer = layer_of(model, 0)
        attention = sizes(layer.attention, kv_lora_rank, rotary)
        return Start(attention, encoding(rope_of(layer), rotary), _all(model, moments, layer_tensors))

    return start


def latent(kv_lora_rank: int) -> Starter:
    """One latent by SVD, weighed by activations."""

    def start(model: Model, moments: Moments) -> Start:
        layer, conversion = layer_of(model, 0), WeightedSVD()
        attention = conversion.attention(layer.attention, kv_lora_rank)
        tensors = _all(model, moments, lambda layer: conversion.convert(layer, kv_lora_rank).params)
        own = set(attention.shapes())
        return Start(attention, None, {name: t for name, t in tensors.items() if name.split(".", 2)[2] in own})

    return start


def low_rank(layer: TrainedLayer, output: Tensor, rank: int) -> dict[str, Tensor]:
    """What is added to q_proj and o_proj, 0 at first: from what the layer reads most, and from what o_proj uses most."""
    _, vectors = torch.linalg.eigh(layer.measured())
    seen = torch.linalg.svd(output, full_matrices=False).Vh[:rank]
    downs = {"q_proj.weight": vectors.T.flip(0)[:rank], "o_proj.weight": seen}
    ups = {name: torch.zeros(len(layer.params[name]), rank) for name in downs}
    return {f"{name}.down": t for name, t in downs.items()} | {f"{name}.up": t for name, t in ups.items()}


def _without_matrices(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t for name, t in params.items() if name not in ("q_proj.weight", "o_proj.weight")}


def _all(
    model: Model, moments: Moments, layer_tensors: Callable[[TrainedLayer], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    found = {}
    for index in range(model.n_layers):
        for name, t in layer_tensors(layer_of(model, index, moments)).items():
            found[f"layers.{index}.{name}"] = t.float().contiguous().clone()
    return found
