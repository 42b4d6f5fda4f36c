"""Learned absolute positions (Gehring et al. 2017; BERT, GPT-2): one trained vector a position, added to the input."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.errors import InputError
from headlight.core.positions.base import Position


@dataclass(frozen=True, eq=False)
class Learned(Position):
    """table (context, d_model): the trained vectors, one a position."""

    table: Float[Tensor, "context d_model"]

    def at_input(self, x: Float[Tensor, "seq d_model"], pos: Int[Tensor, " seq"]) -> Float[Tensor, "seq d_model"]:
        """x plus the vector of each position; raises InputError beyond the table."""
        if len(pos) and int(pos[-1]) >= len(self.table):
            raise InputError(f"position {int(pos[-1])} was never learned; this table ends at {len(self.table) - 1}")
        return x + self.table[pos]
