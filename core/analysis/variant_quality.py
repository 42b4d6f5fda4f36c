"""What the variants of a packaged model reach, read from the cards that `training/distill` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headlight.core.checkpoints import variant
from headlight.core.registry import MODELS, PACKAGED

HELD_OUT = "held-out"  # the text of a card that Surgery's curves are measured on, too


@dataclass(frozen=True)
class VariantQuality:
    """A variant that was converted and healed, by its card.

    name, title, base, attention: of the registry; kept, original_kept: values cached per token per layer. measure:
    "perplexity", or "cosine" (of sentence embeddings to the original's). trained, converted, healed: text -> what the
    original, the conversion alone and the variant reach. referent: the same three -> "layer.head" -> the weight from "it" to
    "animal" (`referent.weights`), empty where it was not measured. losses: steps, and the mean loss up to each.
    """

    name: str
    title: str
    base: str
    attention: str
    kept: int
    original_kept: int
    measure: str
    trained: Mapping[str, float]
    converted: Mapping[str, float]
    healed: Mapping[str, float]
    referent: Mapping[str, Mapping[str, float]]
    losses: tuple[list[int], list[float]]
    card: Mapping[str, Any]

    @property
    def told(self) -> str:
        """How far it came, on the held-out text: "perplexity 45.6 → 53.1", "cosine 0.987"."""
        healed = number(self.measure, self.healed[HELD_OUT])
        if self.measure == "cosine":
            return f"cosine {healed} to the original's sentences"
        return f"perplexity {number(self.measure, self.trained[HELD_OUT])} → {healed}"

    @property
    def texts(self) -> list[str]:
        """The texts that it was measured on."""
        return list(self.healed)

    def numbers(self, text: str) -> tuple[str, str, str]:
        """As trained, converted and healed on one of its texts, as they are written."""
        trained, converted, healed = (
            number(self.measure, of[text]) for of in (self.trained, self.converted, self.healed)
        )
        return trained, converted, healed


def loss_curves(found: Sequence[VariantQuality]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Steps (n,) of all curves together, and a line (n,) a variant by its title, NaN beyond its last step."""
    steps = np.unique(np.concatenate([np.asarray(each.losses[0]) for each in found]))
    return steps, {each.title: np.interp(steps, *each.losses, left=np.nan, right=np.nan) for each in found}


def number(measure: str, value: float) -> str:
    """A value as it is written: a perplexity with one digit, a cosine with three.

    >>> number("perplexity", 45.63), number("perplexity", 14938.2), number("cosine", 0.98692)
    ('45.6', '14,938', '0.987')
    """
    if measure == "cosine":
        return f"{value:.3f}"
    return f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def quality(name: str) -> VariantQuality:
    """What is known of a shipped variant; raises CheckpointError for a damaged card."""
    row = MODELS[name]
    card = variant.read_card(variant.FOLDER / name if row.folder is None else row.folder)
    curve = card["loss_curve"]
    return VariantQuality(
        name, row.title, str(row.base), str(row.attention), card["cached_elements_per_token_and_layer"],
        card["cached_elements_of_the_original"], "perplexity" if card["measure"] == "perplexity" else "cosine",
        card["as_trained"], card["converted"], card["healed"], card.get("referent", {}),
        (curve["step"], curve["nats_a_token"]), card,
    )  # fmt: skip


def is_shipped(name: str) -> bool:
    """Whether a model is a variant with a card, and on this machine."""
    row = MODELS.get(name)
    return row is not None and row.base is not None and row.folder is not None and row.installed


def qualities(base: str | None = None) -> list[VariantQuality]:
    """The shipped variants on this machine, of one packaged model or of all; raises CheckpointError for a damaged card."""
    names = [name for name, row in MODELS.items() if base in (None, row.base) and is_shipped(name)]
    return [quality(name) for name in names]


def missing(base: str) -> list[str]:
    """Titles of the variants of a packaged model that are not on this machine.

    >>> missing("mha-rope")
    []
    """
    return [row.title for row in MODELS.values() if row.base == base and not row.installed]


def how_made(name: str) -> str:
    """What a model of the packaged families is, in a few words: "as trained", "exact", "converted and healed"."""
    if name in PACKAGED:
        return "as trained"
    return "converted and healed" if MODELS[name].folder is not None else "exact"


def as_trained(base: str) -> str:
    """What a packaged model itself reaches on the held-out text: "perplexity 45.6"; "" where no card says it or there is
    nothing to say, since an embedding's cosine to itself is 1. Raises CheckpointError for a damaged card."""
    found = next(iter(qualities(base)), None)
    if found is None or found.measure == "cosine":
        return ""
    return f"perplexity {number(found.measure, found.trained[HELD_OUT])}"
