"""Several texts of one length through a model at once: core's own blocks and projections over a leading batch axis.

As in `training/model.py`, with what each layer kept. Equal to one text after another up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.attention import Attention
from headlight.core.attention.base import Params, fused_heads, linear
from headlight.core.cache import KVCache
from headlight.core.model import Model, embedding_norm, final_norm
from headlight.core.serving.compute.flat import Plan, flatten, unflatten
from headlight.core.types import Run, Tokens, Traces, positions

Kept = dict[int, tuple[Plan, tuple[Tensor, ...]]]


def batches(model: Model) -> bool:
    """Whether texts of one length can go through together: not where scores are biased or a window limits them."""
    return not model.position.biases_scores and type(model.attention).allowed is Attention.allowed


@torch.inference_mode()
def run_batch(model: Model, texts: Sequence[Tokens], layers: Sequence[int]) -> list[Run]:
    """A `Run` a text, as `core.run` makes it; all texts have the same number of tokens, and `batches(model)` holds."""
    kept: Kept = {}
    x = _embed(model, torch.tensor([text.ids for text in texts], device=model.device))
    for index, params in enumerate(model.layers):
        x = _layer(model, index, x, params, kept if index in layers else {})
    hidden = final_norm(model, x)
    return [_row(model, text, kept, hidden[i], i) for i, text in enumerate(texts)]


def _row(model: Model, text: Tokens, kept: Kept, hidden: Tensor, row: int) -> Run:
    layers = {
        i: (model.attention, model.layers[i], unflatten(plan, [t[row].clone() for t in tensors], model.position))
        for i, (plan, tensors) in kept.items()
    }
    return Run(model=model.name, tokens=text, layers=Traces(layers), hidden=hidden.clone(), head=model.head)


def _embed(model: Model, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
    pos = positions(0, ids.shape[1], ids.device)
    return embedding_norm(model, torch.vmap(lambda row: model.position.at_input(row, pos))(model.embedding[ids]))


def _layer(model: Model, index: int, x: Tensor, params: Params, kept: Kept) -> Tensor:
    plans: list[Plan] = []

    def project(row: Tensor) -> tuple[Tensor, ...]:
        plan, tensors = flatten(model.attention.project(row, params, model.position, KVCache()))
        plans.append(plan)
        return tuple(tensors)

    def attend(h: Tensor) -> Tensor:
        tensors = torch.vmap(project)(h)
        kept[index] = (plans[0], tensors)
        q, k, v = (tensors[plans[0][name]] for name in ("q", "k", "v"))
        return _fused(model, q, k, v, params)

    return model.block(x, params, attend)


def _fused(model: Model, q: Tensor, k: Tensor, v: Tensor, params: Params) -> Float[Tensor, "batch seq d_model"]:
    scale = model.attention.scale * model.position.score_scale
    heads = fused_heads(q, k, v, None, model.causal and q.shape[-2] > 1, scale)
    return linear(heads.transpose(1, 2).flatten(2), params, "o_proj")
