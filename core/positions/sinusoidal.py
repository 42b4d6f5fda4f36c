"""Sinusoidal absolute positions (Vaswani et al. 2017, arXiv 1706.03762, section 3.5), added to the input.

The paper's table, dimensions in pairs [sin, cos, sin, cos, …]; other code bases hold all sines first, which is another
table. Pair j of d_model / 2 has the frequency 10000^(-2j / d_model), in radians a position.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.errors import ConfigError
from headlight.core.positions.base import Position


@dataclass(frozen=True)
class Sinusoidal(Position):
    """base: 10,000 in the paper; the wavelengths run from 2π to base · 2π positions.

    >>> Sinusoidal().table(torch.tensor([0, 1]), d_model=4)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    """

    base: float = 10_000.0

    def at_input(self, x: Float[Tensor, "seq d_model"], pos: Int[Tensor, " seq"]) -> Float[Tensor, "seq d_model"]:
        """x plus the table's row of each position."""
        return x + self.table(pos, x.shape[-1], x.dtype)

    def table(
        self, pos: Int[Tensor, " seq"], d_model: int, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "seq d_model"]:
        """PE(pos, 2j) = sin(pos · base^(-2j/d)), PE(pos, 2j+1) = cos(the same); raises ConfigError for an odd width."""
        if d_model % 2:
            raise ConfigError(f"d_model ({d_model}) must be even: sines and cosines come in pairs")
        exponents = torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
        angles = pos[:, None].cpu().double() * self.base**-exponents
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype).to(pos.device)
