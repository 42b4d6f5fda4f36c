"""What the layers of a model read: the inputs of their attention for a text, and the second moments of these."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from headlight.core.cache import KVCache
from headlight.core.model import Model, embed
from headlight.core.surgery.held_out import Turn
from headlight.core.types import Tokens


@torch.inference_mode()
def inputs(model: Model, tokens: Tokens) -> list[Float[Tensor, "seq d_model"]]:
    """What goes into the attention of each layer, after the block's norm."""
    x, caught = embed(model, torch.tensor(tokens.ids, device=model.device)), []
    for params in model.layers:

        def attend(h: Tensor, params: dict[str, Tensor] = dict(params)) -> Tensor:  # noqa: B006  # a view of its own
            caught.append(h)
            return model.attention.fused(model.attention.project(h, params, model.position, KVCache()), params)

        x = model.block(x, params, attend)
    return caught


@torch.inference_mode()
def second_moments(
    model: Model, passages: Sequence[str], turn: Turn = nullcontext
) -> list[Float[Tensor, "d_model_1 d_model_1"]]:
    """For each layer the mean of [h; 1] [h; 1]ᵀ over all tokens of the passages, in float32 on the CPU, summed up in float64.

    turn: a passage is read inside `turn()`.
    """
    width, count = model.attention.d_model + 1, 0
    sums = [torch.zeros(width, width, dtype=torch.float64) for _ in model.layers]
    for passage in passages:
        with turn():
            read = inputs(model, model.tokens(passage))
        for total, h in zip(sums, read, strict=True):
            wide = F.pad(h.cpu().double(), (0, 1), value=1.0)
            total += wide.T @ wide
        count += len(read[0])
    return [(total / count).float() for total in sums]
