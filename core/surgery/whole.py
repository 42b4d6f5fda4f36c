"""Whole models: every layer converted, and what the heads of one layer look at before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.analysis.compare import jensen_shannon
from headlight.core.cache import KVCache
from headlight.core.errors import InputError
from headlight.core.model import Model
from headlight.core.surgery.base import Conversion, Converted, Prepared, TrainedLayer, heads_of, kept_of

Moments = Sequence[Float[Tensor, "d_model_1 d_model_1"]]


def layer_of(model: Model, index: int, moments: Moments | None = None) -> TrainedLayer:
    """One layer of a model to convert; raises InputError where it has no key and value heads."""
    heads = heads_of(model.attention)
    if heads is None:
        kept = kept_of(model.attention)
        raise InputError(f"{model.title} keeps {kept} already; conversions start from key and value heads")
    moment = None if moments is None else moments[index]
    return TrainedLayer(heads, model.layers[index], model.position, index, moment)


def convert_model(model: Model, conversion: Conversion, setting: int, moments: Moments | None = None) -> Model:
    """The model with every layer converted; raises InputError for what the conversion refuses.

    moments: of `second_moments`, for conversions that are calibrated.

    >>> from headlight import load_model, run
    >>> from headlight.core.surgery import MeanPooling
    >>> mqa = convert_model(load_model("mha-rope", "cpu"), MeanPooling(), 1)
    >>> mqa.attention.cached_elements_per_token(), run(mqa, "Once upon a time").layers[0].k.shape[0]
    (64, 1)
    """
    conversion.check(model.attention, model.position, setting)
    layers = (layer_of(model, index, moments) for index in range(model.n_layers))
    return assemble(model, [conversion.convert(layer, setting) for layer in layers])


def cut_model(model: Model, prepared: Sequence[Prepared], setting: int) -> Model:
    """The same from layers that were prepared before."""
    return assemble(model, [each.cut(setting) for each in prepared])


def assemble(model: Model, converted: Sequence[Converted]) -> Model:
    """The model with other attention layers; everything else of its layers stays."""
    own = set(model.attention.shapes())
    rest = [{name: t for name, t in params.items() if name not in own} for params in model.layers]
    layers = tuple(kept | new.params for kept, new in zip(rest, converted, strict=True))
    return replace(model, title=f"{model.title}, converted", attention=converted[0].attention, layers=layers)


@torch.inference_mode()
def weights_of(model: Model, converted: Converted, h: Float[Tensor, "seq d_model"]) -> Float[Tensor, "n_heads seq seq"]:
    """The attention weights of one converted layer that reads h, the input of the layer it was made from."""
    projections = converted.attention.project(h, converted.params, model.position, KVCache())
    return converted.attention.rows(projections, slice(None))


@torch.inference_mode()
def distances(
    before: Float[Tensor, "n_heads seq seq"], after: Float[Tensor, "n_heads seq seq"]
) -> Float[Tensor, " n_heads"]:
    """The Jensen-Shannon distance of each head to itself, 0 to 1, mean over the tokens that look."""
    return jensen_shannon(before.cpu().double(), after.cpu().double()).mean(-1)
