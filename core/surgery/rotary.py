"""Which pairs of dimensions keep their rotation when RoPE is decoupled (MHA2MLA, Ji et al. 2025, arXiv 2502.14837, section
3.1: high, low, uniform, and by 2-norm contribution)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.attention import GQA
from headlight.core.positions import RoPE
from headlight.core.surgery.base import TrainedLayer

CHOICES: Mapping[str, str] = {
    "norm": "those that add most to the scores",
    "high": "the fastest",
    "low": "the slowest",
    "uniform": "evenly spread",
}


def pairs_of(rope: RoPE) -> Int[Tensor, "pairs two"]:
    """The dimensions that turn together, fastest pair first."""
    if rope.layout == "interleaved":
        return torch.arange(rope.dim).reshape(-1, 2)
    return torch.arange(rope.dim).reshape(2, -1).T


def chosen_dims(choice: str, layer: TrainedLayer, rope: RoPE, width: int) -> Int[Tensor, "n_kv_heads width"]:
    """For each KV head the dimensions that keep their rotation, ascending; width: how many, an even number."""
    pairs, count = pairs_of(rope), width // 2
    if choice == "norm":
        picked = contribution(layer, rope).topk(count, dim=1).indices
    else:
        last = len(pairs) - 1
        ranks = {
            "high": torch.arange(count),
            "low": torch.arange(len(pairs) - count, len(pairs)),
            "uniform": torch.linspace(0, last, count).round().long(),
        }
        picked = ranks[choice].expand(layer.attention.n_kv_heads, -1)
    return pairs[picked].flatten(1).sort(dim=1).values


def contribution(layer: TrainedLayer, rope: RoPE) -> Float[Tensor, "n_kv_heads pairs"]:
    """How much each pair may add to the scores of a KV head: |q| |k| of the pair, root mean squares over the calibration
    text, summed over the query heads that read it. Biases are left out."""
    source, moment, pairs = layer.attention, layer.measured(), pairs_of(rope)
    sizes = {name: _sizes(layer.params[f"{name}.weight"], source, moment, pairs) for name in ("q_proj", "k_proj")}
    q = sizes["q_proj"].unflatten(0, (source.n_kv_heads, -1)).sum(1)
    return q * sizes["k_proj"]


def _sizes(weight: Tensor, source: GQA, moment: Tensor, pairs: Tensor) -> Float[Tensor, "heads pairs"]:
    rows = weight.cpu().double()
    squares = ((rows @ moment) * rows).sum(1).unflatten(0, (-1, source.head_dim))  # E[(w·h)²] of each dimension
    return squares[:, pairs].sum(-1).sqrt()
