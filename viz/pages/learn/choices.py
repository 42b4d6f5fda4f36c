"""What is on the Learn page, and what each choice may be."""

from __future__ import annotations

from dataclasses import dataclass

from headlight.viz.ui.link import Choices, among, choice, whole
from headlight.viz.ui.state import PageState

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
SENTENCE = "The animal didn't cross the street, because it was too {}."
MOST_NEW, FARTHEST, ALONE = 24, 200, 40


@dataclass(frozen=True)
class Learning(Choices):
    """What a learner has chosen. section: the step. word: the end of the sentence; order: of ORDERS; together: both tokens
    later by, alone: the query later by, in positions; layer, head: of the many heads; count: tokens written; attention: who
    shares; shift: words before the text, in positions."""

    section: str = choice("attention", among(STEPS), name="step", always=True)
    word: str = choice("tired", among(WORDS))
    order: int = choice(0, among(range(len(ORDERS))))
    together: int = choice(0, whole(0, FARTHEST))
    alone: int = choice(0, whole(0, ALONE))
    layer: int = choice(3, whole(0, 5))
    head: int = choice(1, whole(0, 11))
    count: int = choice(8, whole(1, MOST_NEW))
    attention: str = choice("gqa", among(SHARING))
    shift: int = choice(100, whole(0, 500))


state = PageState("learn", Learning, Learning)


def beside(section: str, step: int) -> str | None:
    """The step before (-1) or after (1), None where there is none.

    >>> beside("attention", -1), beside("attention", 1), beside("gains", 1)
    (None, 'order', None)
    """
    at = list(STEPS).index(section) + step
    return list(STEPS)[at] if 0 <= at < len(STEPS) else None
