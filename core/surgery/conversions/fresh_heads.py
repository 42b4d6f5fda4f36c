"""Heads from scratch: new random key and value heads, the "random" baseline of Ainslie et al. 2023 (arXiv 2305.13245).

Nothing of the trained keys and values is left; how far the other conversions are from this is what they save.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import torch

from headlight.core.surgery.conversions.fewer_heads import Grouped, Kept, Picked


@dataclass(frozen=True)
class FreshHeads(Picked):
    """seed: of the random numbers, which have the mean and spread of the trained ones they replace."""

    title = "Heads from scratch"
    about = "Key and value heads are drawn at random, as large as the trained ones: nothing that was learnt is kept."
    source = "Ainslie et al. 2023, GQA, arXiv 2305.13245, section 2.1 and figure 4 (baseline “random”)"

    seed: int = 0

    def pick(self, grouped: Grouped, name: str, layer: int) -> Kept:
        """Normal numbers with the mean and standard deviation of what they replace."""
        chance = torch.Generator().manual_seed(zlib.crc32(f"{self.seed} {layer} {name}".encode()))
        shape = (grouped.shape[0], *grouped.shape[2:])
        drawn = torch.randn(shape, generator=chance, dtype=torch.float64).to(grouped.dtype).to(grouped.device)
        return drawn * grouped.std() + grouped.mean()
