"""What is on the Learn page, to and from a link; what each choice may be stands in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headlight.viz.ui.link import Rule, among, changed, read, whole

STEPS = {
    "attention": "Attention", "order": "Order", "rope": "RoPE", "heads": "Heads", "cache": "KV cache",
    "sharing": "MQA, GQA", "latent": "MLA", "decoupled": "Decoupled RoPE", "gains": "What it buys",
}  # fmt: skip
WORDS = ("tired", "wide")
ORDERS = (
    ("cross the street again", "street the cross again"),
    ("the dog bit the man today", "the man bit the dog today"),
)
SHARING = {"mha": "MHA", "gqa": "GQA", "mqa": "MQA"}
MOST_NEW, FARTHEST, ALONE = 24, 200, 40


@dataclass(frozen=True)
class Learning:
    """What a learner has chosen. section: the step. word: the end of the sentence; order: of ORDERS; together: both tokens
    later by, alone: the query later by, in positions; layer, head: of the many heads; count: tokens written; attention: who
    shares; shift: words before the text, in positions."""

    section: str = "attention"
    word: str = "tired"
    order: int = 0
    together: int = 0
    alone: int = 0
    layer: int = 3
    head: int = 1
    count: int = 8
    attention: str = "gqa"
    shift: int = 100


_RULES: Mapping[str, Rule] = {
    "section": among(STEPS), "word": among(WORDS), "order": among(range(len(ORDERS))), "together": whole(0, FARTHEST),
    "alone": whole(0, ALONE), "layer": whole(0, 5), "head": whole(0, 11), "count": whole(1, MOST_NEW),
    "attention": among(SHARING), "shift": whole(0, 500),
}  # fmt: skip
_NAMES = {"section": "step"}


def to_link(choices: Learning) -> dict[str, str]:
    """The parameters of the address bar; what is as at first is left out, but for the step."""
    return changed(choices, Learning()) | {"section": choices.section}


def from_link(params: Mapping[str, str], fallback: Learning) -> tuple[Learning, list[str]]:
    """The choices that a link asks for, and a note for each value that is no such thing."""
    return read(params, _RULES, fallback, _NAMES)


def beside(section: str, step: int) -> str | None:
    """The step before (-1) or after (1), None where there is none.

    >>> beside("attention", -1), beside("attention", 1), beside("gains", 1)
    (None, 'order', None)
    """
    at = list(STEPS).index(section) + step
    return list(STEPS)[at] if 0 <= at < len(STEPS) else None
