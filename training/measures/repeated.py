"""How much a text helps where it comes a second time: what induction heads are for (Olsson et al. 2022, arXiv 2209.11895)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from training.text.tokens import START

Losses = Callable[[Int[Tensor, "rows seq"], Int[Tensor, "rows seq"]], Float[Tensor, " tokens"]]


def advantage(losses: Losses, rows: Int[Tensor, "rows seq"]) -> float:
    """Nats per token by which the second copy of a passage is easier than the first.

    losses: inputs, targets -> cross-entropy of every token; rows: tokens of a text without START, of which the first half
    is read twice.
    """
    half = rows.shape[1] // 2
    twice = torch.cat([rows[:, :half], rows[:, :half]], 1)
    inputs = torch.cat([torch.full((len(rows), 1), START), twice[:, :-1]], 1)
    found = losses(inputs, twice).view(len(rows), 2, half).mean((0, 2))
    return float(found[0] - found[1])
