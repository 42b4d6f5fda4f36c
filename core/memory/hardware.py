"""Accelerators by what bounds decoding: peak arithmetic and memory bandwidth, each with its source; and the roofline.

The roofline (Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance model"): a computation of
I operations per byte runs at most at min(peak, I x bandwidth).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from headlight.core import ASSETS
from headlight.core.errors import lookup
from headlight.core.memory.decode_cost import StepCost

_TABLE = ASSETS / "hardware.json"


@dataclass(frozen=True)
class Card:
    """flops: operations a second with dense bfloat16 matrices; bandwidth: bytes a second; memory: bytes (decimal).

    source: where the numbers are published; status: how they were taken from there.
    """

    name: str
    title: str
    flops: float
    bandwidth: float
    memory: float
    source: str
    status: str

    @property
    def ridge(self) -> float:
        """Operations per byte from which arithmetic is the bound, no longer memory."""
        return self.flops / self.bandwidth

    def roof(self, intensity: float) -> float:
        """Operations a second that are within reach at `intensity` operations per byte."""
        return min(self.flops, intensity * self.bandwidth)

    def seconds(self, cost: StepCost, weights: bool = False) -> float:
        """The shortest time that a step can take; weights: with the projections."""
        return max(cost.operations(weights) / self.flops, cost.traffic(weights) / self.bandwidth)

    def bound(self, cost: StepCost, weights: bool = False) -> str:
        """What the step waits for: "arithmetic" or "memory"."""
        return "arithmetic" if cost.intensity(weights) >= self.ridge else "memory"


def cards() -> dict[str, Card]:
    """The table of assets/hardware.json, by name."""
    rows = json.loads(_TABLE.read_text(encoding="utf-8"))
    return {row["name"]: Card(**row) for row in rows}


def card(name: str) -> Card:
    """The card called `name`; raises UnknownNameError with the names there are."""
    found: Card = lookup(cards(), name, "card")
    return found
