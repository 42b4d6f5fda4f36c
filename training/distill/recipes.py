"""The variants that can be made: from which model, how converted, what is matched, and how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headlight.core.errors import lookup
from training.distill import starts
from training.distill.starts import Starter


@dataclass(frozen=True)
class Recipe:
    """One variant.

    model, variant: "smollm2", "mqa"; how: the conversion it begins with, for the card; matched: "distributions" (decoders)
    or "token states" (encoders); peak: the learning rate, `layer_peak` in the first `layer_steps` steps, in which each layer
    is held to the original's attention output; length: tokens of a text at most; together: texts of a batch (decoders) or
    tokens (encoders).
    """

    model: str
    variant: str
    how: str
    start: Starter
    matched: Literal["distributions", "token states"]
    peak: float
    length: int
    together: int
    layer_steps: int = 0
    layer_peak: float = 1e-3
    warmup: int = 20

    @property
    def name(self) -> str:
        """As folders are called: "smollm2-mqa"."""
        return f"{self.model}-{self.variant}"


def _minilm(variant: str, how: str, start: Starter, peak: float) -> Recipe:
    return Recipe("minilm", variant, how, start, "token states", peak, length=96, together=1024)


def _smollm2(variant: str, how: str, start: Starter, peak: float, layer_steps: int = 0) -> Recipe:
    return Recipe(
        "smollm2", variant, how, start, "distributions", peak, length=256, together=2, layer_steps=layer_steps
    )


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _minilm("latent", "weighted SVD to a latent of 192 values", starts.latent(192), peak=1e-4),
        _minilm("gqa", "aligned merging to 4 KV heads", starts.fewer_heads(4), peak=3e-4),
        _minilm("mqa", "aligned merging to 1 KV head", starts.fewer_heads(1), peak=5e-4),
        _smollm2(
            "mla", "32 rotary dimensions merged into one key for all heads, all else by weighted SVD to a latent of 128",
            starts.mla(kv_lora_rank=128, rotary=32, rank=64), peak=2e-4,
        ),
        _smollm2("mqa", "aligned merging to 1 KV head", starts.fewer_heads(1, rank=64), peak=4e-4, layer_steps=40),
    )
}  # fmt: skip


def recipe(model: str, variant: str) -> Recipe:
    """The recipe of a variant; raises UnknownNameError with those there are."""
    found: Recipe = lookup(RECIPES, f"{model}-{variant}", "variant")
    return found
