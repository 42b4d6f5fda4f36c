"""What the siblings can do against what they keep, read from the cards that training and evaluation wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headlight.core import ASSETS
from headlight.core.checkpoints import sibling
from headlight.core.errors import CheckpointError
from headlight.core.registry import SIBLINGS


@dataclass(frozen=True)
class Score:
    """value and standard error of a measurement, and what chance alone would give (None: nothing to compare with)."""

    value: float
    error: float | None = None
    chance: float | None = None


@dataclass(frozen=True)
class Quality:
    """One sibling. kept: numbers cached per token per layer; layers: how many; scores: measure -> what was found.

    validation_loss is in nats per token, pronoun scores are shares of right answers (0-1), head scores weights (0-1).
    """

    name: str
    title: str
    attention: str
    position: str
    parameters: int
    kept: int
    layers: int
    scores: Mapping[str, Score]

    def cached_bytes(self, element: int = 2) -> int:
        """Bytes cached per token in all layers, with `element` bytes per value (2: half precision)."""
        return self.kept * self.layers * element


@dataclass(frozen=True)
class Measure:
    """title: for the menu; axis: with its unit; lower: whether less is better; about: how it was measured."""

    title: str
    axis: str
    lower: bool
    about: str


MEASURES: Mapping[str, Measure] = {
    "loss": Measure(
        "Validation loss", "validation loss (nats per token)", True,
        "Mean cross-entropy on texts that no sibling was trained on. Bars: plus and minus one standard deviation over "
        "three seeds of MHA · RoPE, taken for all. A difference within a bar may be chance.",
    ),
    "winogender": Measure(
        "Pronouns: Winogender", "share of right antecedents (0-1)", False,
        "Does a head put more weight on the antecedent than on the other candidate? The best head is chosen on one half of "
        "the sentences and scored on the other (Rudinger et al. 2018). Bars: one standard error.",
    ),
    "winobias": Measure(
        "Pronouns: WinoBias", "share of right antecedents (0-1)", False,
        "The same on WinoBias (Zhao et al. 2018). Bars: one standard error.",
    ),
    "previous_token": Measure(
        "Best previous-token head", "weight on the token before (0-1)", False,
        "The highest mean weight that any head puts on the token before.",
    ),
    "induction": Measure(
        "Best induction head", "weight on what followed last time (0-1)", False,
        "Random tokens, repeated once: the highest mean weight on what followed the same token the first time "
        "(Olsson et al. 2022).",
    ),
    "repeated_passage": Measure(
        "A passage read twice", "easier by (nats per token)", False,
        "Passages of 127 tokens, read twice: by how much the second copy is easier than the first. A model that copies would "
        "gain all that there is to gain.",
    ),
    "agreement": Measure(
        "Agreement: verb beside the noun", "share of right verbs (0-1)", False,
        "500 sentences such as “The dogs”, made from words of the corpus: is “are” likelier than “is”? Each answer is right in "
        "half of them. Bars: one standard error.",
    ),
    "agreement_across": Measure(
        "Agreement: another noun between", "share of right verbs (0-1)", False,
        "500 sentences such as “The dogs near the tree”: is “are” likelier than “is”? The noun between is of the other number "
        "in half of them, so whoever goes by the nearest noun is right in half. Bars: one standard error.",
    ),
    "reflexives": Measure(
        "himself or herself", "share of right pronouns (0-1)", False,
        "500 sentences such as “The queen washed”: is “herself” likelier than “himself”? Each answer is right in half of them. "
        "Bars: one standard error.",
    ),
    "quotes": Measure(
        "Quotation marks closed", "share of right answers (0-1)", False,
        "500 pairs such as “\"Come here” and “Come here”: is a quotation mark likelier to follow where one is open? "
        "Bars: one standard error.",
    ),
}  # fmt: skip


def qualities() -> list[Quality]:
    """Every sibling on this machine, in the order of the table of models; raises CheckpointError for a damaged card."""
    return [_quality(name) for name, row in SIBLINGS.items() if row.installed]


def baselines() -> dict[str, float]:
    """Validation losses (nats per token) of trigram models on the same text; empty before the table was made."""
    return {row["name"]: row["validation_loss"] for row in _table().get("baselines", ())}


def published(file: str = "published_quality.json") -> list[dict[str, Any]]:
    """Figures of papers from a file of assets: title, source, status, columns, rows (name -> values)."""
    tables: list[dict[str, Any]] = json.loads((ASSETS / file).read_text(encoding="utf-8"))
    return tables


def _table() -> dict[str, Any]:
    path = sibling.FOLDER / "table.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.name} cannot be read: {error}") from error


def _quality(name: str) -> Quality:
    row, card = SIBLINGS[name], sibling.read_card(name)
    scores = {"loss": Score(card["validation_loss"], _table().get("seeds", {}).get("standard_deviation"))}
    for measure, heads in card.get("heads", {}).items():
        scores[measure] = Score(max(max(layer) for layer in heads))
    if "repeated_passage" in card:
        scores["repeated_passage"] = Score(card["repeated_passage"])
    for measure, found in (*card.get("pronouns", {}).items(), *card.get("templates", {}).items()):
        scores[measure] = Score(found["accuracy"], found["standard_error"], found["chance"])
    return Quality(
        name, row.title, str(row.attention), str(row.position), card["parameters"],
        card["cached_elements_per_token_and_layer"], card["n_layers"], scores,
    )  # fmt: skip
