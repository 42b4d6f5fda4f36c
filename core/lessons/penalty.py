"""ALiBi's slopes and what they add to scores (Press et al. 2022, arXiv 2108.12409)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.errors import ConfigError
from headlight.core.positions import ALiBi


def slopes(n_heads: int) -> Float[Tensor, " n_heads"]:
    """One slope a head; raises ConfigError for no heads."""
    if n_heads < 1:
        raise ConfigError(f"n_heads ({n_heads}) must be positive")
    return ALiBi().slopes(n_heads)


def bias(n_heads: int, length: int) -> Float[Tensor, "n_heads q_len kv_len"]:
    """What is added to the scores of a text of `length` tokens read left to right; NaN where a query may not look."""
    slopes(n_heads)
    pos = torch.arange(length)
    added = ALiBi().at_scores(torch.zeros(n_heads, length, length, dtype=torch.float64), pos, pos)
    return added.masked_fill(pos[None, :] > pos[:, None], float("nan"))


def weaker(penalty: float) -> float:
    """How many times smaller a weight is for a score lower by `penalty`: e^penalty; beyond 10^300, infinity."""
    return math.exp(penalty) if penalty < 690 else math.inf
