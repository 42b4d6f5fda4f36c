"""ALiBi: a penalty on the scores that grows with distance, one slope a head (Press et al. 2022, arXiv 2108.12409)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.positions.base import Position


@dataclass(frozen=True)
class ALiBi(Position):
    """score + (-slope · distance), the distance in positions; nothing is learned.

    >>> ALiBi().slopes(4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    """

    def at_scores(
        self, scores: Float[Tensor, "n_heads q_len kv_len"], q_pos: Int[Tensor, " q_len"], k_pos: Int[Tensor, " kv_len"]
    ) -> Float[Tensor, "n_heads q_len kv_len"]:
        """Scores minus slope times distance; both ways for an encoder."""
        distance = (q_pos[:, None] - k_pos[None, :]).abs().to(scores.dtype)
        return scores - self.slopes(scores.shape[0]).to(scores)[:, None, None] * distance

    def slopes(self, n_heads: int) -> Float[Tensor, " n_heads"]:
        """2^(-8k/n) for k = 1 … n where n is a power of two; else those of the power below, then every other one above."""
        below = 2 ** math.floor(math.log2(n_heads))
        first = _geometric(below)
        return torch.cat([first, _geometric(2 * below)[::2][: n_heads - below]])


def _geometric(n: int) -> Float[Tensor, " n"]:
    return 2.0 ** (-8.0 * torch.arange(1, n + 1, dtype=torch.float64) / n)
