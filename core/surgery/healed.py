"""Converted, healed, trained that way: the siblings that `training/heal.py` converted and trained a little further."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headlight.core import ASSETS
from headlight.core.checkpoints import sibling
from headlight.core.errors import CheckpointError

FOLDER = ASSETS / "healed"


@dataclass(frozen=True)
class Loss:
    """Nats a token: on the validation text, and on the sixteen rows of it that are shipped (assets/siblings/sample.json)."""

    validation: float
    sample: float


@dataclass(frozen=True)
class Healed:
    """One healing. kept: numbers cached per token per layer; trained, converted, healed: the same sibling before, after the
    conversion and after `steps` more steps; further: the sibling trained as much further unconverted, None if that was not
    done; beside: the name of a sibling that was trained that way from scratch, and its loss.
    """

    name: str
    source: str
    conversion: str
    setting: int
    kept: int
    source_kept: int
    beside_kept: int
    steps: int
    share: float
    trained: Loss
    converted: Loss
    healed: Loss
    beside: tuple[str, Loss]
    further: Loss | None = None


def healed() -> list[Healed]:
    """Every healing whose weights are here; raises CheckpointError for a damaged card."""
    cards = {path.parent.name: _card(path) for path in sorted(FOLDER.glob("*/card.json"))}
    unchanged = {card["source"]: _loss(card) for name, card in cards.items() if name.endswith("-unchanged")}
    return [_healed(name, card, unchanged) for name, card in cards.items() if card.get("beside")]


def _healed(name: str, card: dict[str, Any], unchanged: dict[str, Loss]) -> Healed:
    source, beside = sibling.read_card(card["source"]), sibling.read_card(card["beside"])
    kept = "cached_elements_per_token_and_layer"
    return Healed(
        name, card["source"], card["conversion"], card["setting"], card[kept], source[kept], beside[kept], card["steps"],
        card["share_of_pretraining_steps"], _loss(source), _loss(card["converted"]), _loss(card),
        (card["beside"], _loss(beside)), unchanged.get(card["source"]),
    )  # fmt: skip


def _loss(card: dict[str, Any]) -> Loss:
    return Loss(card["validation_loss"], card["sample_loss"])


def _card(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the card of {path.parent.name} cannot be read: {error}") from error
