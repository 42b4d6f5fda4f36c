"""Tables of absolute positions, learned or sinusoidal: how alike two positions are, and how long each wave is."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.errors import InputError
from headlight.core.positions import RoPE, Sinusoidal


def sinusoidal(count: int, d_model: int) -> Float[Tensor, "seq d_model"]:
    """The paper's table for positions 0 … count - 1 in float64 (Vaswani et al. 2017, section 3.5)."""
    return Sinusoidal().table(torch.arange(count), d_model, torch.float64)


def wavelengths(dim: int, theta: float = 10_000.0) -> Float[Tensor, " pairs"]:
    """Positions to a full turn of each pair of dimensions, 2π theta^(2j / dim): of a sinusoidal table and of RoPE alike.

    >>> [round(w, 1) for w in wavelengths(4).tolist()]
    [6.3, 628.3]
    """
    return 2 * math.pi / RoPE(dim, theta).frequencies(torch.float64)


def products(table: Float[Tensor, "seq d_model"], at: int) -> Float[Tensor, " seq"]:
    """The dot product of the row `at` with every row; raises InputError for a row that is not there."""
    if not 0 <= at < len(table):
        raise InputError(f"position {at} is not in this table, which has {len(table)}")
    return table @ table[at]


def cosines(table: Float[Tensor, "seq d_model"]) -> Float[Tensor, "seq seq"]:
    """Cosine similarity of every two rows, -1 to 1; rows without length are like nothing (0)."""
    unit = torch.nn.functional.normalize(table.double(), dim=-1)
    return unit @ unit.T
