"""RoPE for texts longer than the trained ones: what each scaling makes of the same frequencies."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.positions import RoPE
from headlight.core.positions.scaling import UNSCALED, Dynamic, Linear, Llama3, Scaling, Yarn


def scalings(factor: float, original: int) -> Mapping[str, Scaling]:
    """The scalings by name, for texts `factor` times as long as the `original` tokens of training."""
    return {
        "none": UNSCALED, "linear": Linear(factor), "dynamic": Dynamic(factor, original),
        "llama3": Llama3(factor, original), "yarn": Yarn(factor, original),
    }  # fmt: skip


def frequencies(dim: int, theta: float, scaling: Scaling, length: int) -> Float[Tensor, " pairs"]:
    """Radians a position of each pair in a text of `length` tokens, float64; raises ConfigError for impossible sizes."""
    rope = RoPE(dim, theta, scaling=scaling)
    return scaling.frequencies(rope.frequencies(torch.float64), theta, length)


def by_pair(made: Mapping[str, Float[Tensor, " pairs"]]) -> Float[Tensor, "pairs scalings"]:
    """Several scalings' frequencies side by side, a row a pair."""
    return torch.stack(list(made.values()), dim=-1)
