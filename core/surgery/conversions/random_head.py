"""Random head: of each group one trained key and value head is kept, drawn by a seed.

A check on `first_head`: the first of a group is as arbitrary as any other. The paper's own "random" baseline is another one,
heads from scratch (`fresh_heads`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from headlight.core.surgery.conversions.fewer_heads import Grouped, Kept, Picked


@dataclass(frozen=True)
class RandomHead(Picked):
    """seed: the same one draws the same heads; a group's key and value come from the same head."""

    title = "Random KV head"
    about = "Of each group one key and value head is kept, drawn by the seed, another draw in every layer."
    source = "a variation of the first-head baseline of Ainslie et al. 2023, GQA, arXiv 2305.13245, section 2.1"

    seed: int = 0

    def pick(self, grouped: Grouped, name: str, layer: int) -> Kept:
        """One of each group; the draw depends on seed and layer, not on the parameter's name."""
        chance = torch.Generator().manual_seed(1_000_003 * self.seed + layer)
        drawn = torch.randint(grouped.shape[1], (grouped.shape[0],), generator=chance)
        return grouped[torch.arange(len(grouped)), drawn]
