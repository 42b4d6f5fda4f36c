"""Does a head look from a pronoun at its antecedent? Winogender (Rudinger et al. 2018), WinoBias (Zhao et al. 2018).

Every sentence has a pronoun and two candidates before it. A head is right if it puts more weight on the antecedent than
on the other candidate. The best head is chosen on one half of a set and scored on the other; a head that picks a
candidate at random would be right in half of all sentences.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from headlight.core.errors import TrainingError
from headlight.core.model import Model, run
from headlight.core.types import Run, Tokens

Span = tuple[int, int]
CHANCE = 0.5


@dataclass(frozen=True)
class Item:
    """text; pronoun and candidates as spans in characters; answer: index of the antecedent; chosen_on: in which half."""

    text: str
    pronoun: Span
    candidates: tuple[Span, Span]
    answer: int
    chosen_on: bool


@dataclass(frozen=True)
class Finding:
    """The best head of the first half (layer, head; from 0), its share of right answers there and in the other half."""

    layer: int
    head: int
    chosen: float
    accuracy: float
    items: int

    @property
    def spread(self) -> float:
        """Standard error of the accuracy, from the number of sentences it was scored on."""
        return (self.accuracy * (1 - self.accuracy) / self.items) ** 0.5


def read(folder: Path) -> dict[str, list[Item]]:
    """Both sets; raises TrainingError if their files cannot be read."""
    return {name: make(_lines(folder / f"{name}.jsonl")) for name, make in SETS.items()}


def best_head(model: Model, items: list[Item]) -> Finding:
    """The head that is right most often on the first half of the sentences, and how often it is on the other."""
    right = torch.stack([_right(model, item) for item in items]).double()
    first = torch.tensor([item.chosen_on for item in items])
    chosen, scored = right[first].mean(0), right[~first].mean(0)
    layer, head = divmod(int(chosen.argmax()), chosen.shape[1])
    return Finding(layer, head, float(chosen[layer, head]), float(scored[layer, head]), int((~first).sum()))


def _right(model: Model, item: Item) -> Bool[Tensor, "n_layers n_heads"]:
    tokens = model.tokens(item.text)
    result = run(model, tokens)
    query = _within(tokens, item.pronoun)[-1]
    antecedent, other = (_weight(result, query, _within(tokens, span)) for span in _ordered(item))
    return antecedent > other


def _ordered(item: Item) -> tuple[Span, Span]:
    return item.candidates[item.answer], item.candidates[1 - item.answer]


def _weight(result: Run, query: int, keys: list[int]) -> Tensor:
    rows = [result.layers.rows(layer, slice(query, query + 1)) for layer in result.layers]
    return torch.stack([weights[:, 0, keys].sum(-1) for weights in rows])


def _within(tokens: Tokens, span: Span) -> list[int]:
    return [i for i, (start, end) in enumerate(tokens.spans) if start < span[1] and end > span[0]]


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path.name} cannot be read: {error}") from error


def _winogender(rows: list[dict[str, Any]]) -> list[Item]:
    # Halved by occupation, so that a sentence and its other pronouns are on one side.
    occupations = sorted({row["id"].partition(".")[0] for row in rows})
    first = set(occupations[::2])
    return [
        Item(row["text"], _span(row["pronoun_span"]), (_span(row["candidate_spans"][0]), _span(row["candidate_spans"][1])),
             row["answer"], row["id"].partition(".")[0] in first)
        for row in rows
    ]  # fmt: skip


def _winobias(rows: list[dict[str, Any]]) -> list[Item]:
    # The set names the antecedent alone; the other candidate is the other occupation that stands before the pronoun.
    nouns = {_ARTICLE.sub("", row["antecedent"]).strip().lower() for row in rows}
    pattern = re.compile(
        rf"(?<=\b)(?:{'|'.join(map(re.escape, sorted(nouns, key=len, reverse=True)))})\b", re.IGNORECASE
    )
    return [item for row in rows if (item := _two_before(row, pattern)) is not None]


def _two_before(row: dict[str, Any], occupation: re.Pattern[str]) -> Item | None:
    text, (pronoun_start, _), (start, end) = row["text"], row["pronoun_span"], row["antecedent_span"]
    found = [match.span() for match in occupation.finditer(text, 0, pronoun_start)]
    answers = [i for i, span in enumerate(found) if start <= span[0] and span[1] <= end]
    if len(found) != 2 or len(answers) != 1:
        return None
    return Item(text, _span(row["pronoun_span"]), (found[0], found[1]), answers[0], row["split"] == "dev")


def _span(pair: list[int]) -> Span:
    return pair[0], pair[1]


_ARTICLE = re.compile(r"^(the|an|a)\s+", re.IGNORECASE)
SETS: Mapping[str, Callable[[list[dict[str, Any]]], list[Item]]] = {"winogender": _winogender, "winobias": _winobias}
