"""A model over a batch of texts, with attention parameters of another: core's blocks and projections, with gradients.

Tested equal to `core.run` on each text. Shapes are those of core with a leading batch axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.attention.base import Params
from headlight.core.model import Model, embedding_norm, final_norm
from headlight.core.types import positions
from training.model import attend

Stream = Float[Tensor, "batch seq d_model"]


def embedded(model: Model, ids: Int[Tensor, "batch seq"]) -> Stream:
    """What goes into the first layer."""
    pos = positions(0, ids.shape[1], ids.device)
    return embedding_norm(model, torch.vmap(lambda row: model.position.at_input(row, pos))(model.embedding[ids]))


def layers(model: Model, ids: Int[Tensor, "batch seq"], params: Sequence[Params]) -> list[Stream]:
    """The output of every layer; params: of the layers, each whole."""
    x, found = embedded(model, ids), []
    for layer in params:
        x = model.block(x, layer, _attending(model, layer))
        found.append(x)
    return found


def hidden(model: Model, ids: Int[Tensor, "batch seq"], params: Sequence[Params]) -> Stream:
    """The last layer's output after the final norm."""
    return final_norm(model, layers(model, ids, params)[-1])


@torch.no_grad()
def attention_layers(model: Model, ids: Int[Tensor, "batch seq"]) -> list[tuple[Stream, Stream]]:
    """What each attention layer of the model itself reads, and what it gives."""
    x, found = embedded(model, ids), []
    for layer in model.layers:
        step = _attending(model, layer)

        def watched(h: Tensor, step: Callable[[Tensor], Tensor] = step) -> Tensor:
            found.append((h, step(h)))
            return found[-1][1]

        x = model.block(x, layer, watched)
    return found


def _attending(model: Model, layer: Params) -> Callable[[Tensor], Any]:
    return lambda h: attend(h, layer, model.attention, model.position)
