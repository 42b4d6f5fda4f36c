"""The same words in another order: what a model can tell apart, measured.

Without positions and without a mask attention treats its tokens as a set (Vaswani et al. 2017, section 3.5; Lee et al.
2019, property 1); a causal mask alone already lets order through (Haviv et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headlight.core.analysis.word_order import Experiment, reorder, words
from headlight.core.errors import InputError
from headlight.core.model import Model, embed, run
from headlight.core.positions import Position
from headlight.core.types import Tokens

ROUNDING = 1e-9  # in float64; what is larger is a difference


@dataclass(frozen=True)
class Apart:
    """How far two texts of the same words differ in one model; each word is compared with itself where it stands.

    entering: largest change of a word's vector before the first layer; leaving: after the last layer, both as a share of
    its length (0 to 2). attention: largest change of a weight in any head and layer (0 to 1). first_attention: in the
    first layer. saying: how far the predictions of the next word differ (total variation, 0 to 1), None where the two
    texts end in different words.
    """

    entering: float
    first_attention: float
    attention: float
    leaving: float
    saying: float | None

    @property
    def tells(self) -> bool:
        """Whether anything in the model differs by more than rounding."""
        return max(self.entering, self.attention, self.leaving) > ROUNDING


def order_of(tokens: Tokens, other: str) -> tuple[int, ...]:
    """The order that makes `other` of the words of a text; raises InputError if it has not the same words.

    Capital letters do not matter; a word that occurs twice keeps the order of its occurrences.
    """
    there = [_word(tokens, group) for group in words(tokens)]
    wanted, free = other.lower().split(), list(range(len(there)))
    order = []
    for word in wanted:
        found = next((i for i in free if there[i] == word), None)
        if found is None:
            raise InputError("both sentences must have the same words, each as often")
        free.remove(found)
        order.append(found)
    if free:
        raise InputError("both sentences must have the same words, each as often")
    return tuple(order)


def _word(tokens: Tokens, group: list[int]) -> str:
    return tokens.text[tokens.spans[group[0]][0] : tokens.spans[group[-1]][1]].strip().lower()


@torch.inference_mode()
def apart(model: Model, first: str, second: str) -> Apart:
    """Both texts through a model, computed in float64; raises InputError if they have not the same words."""
    model = precise(model)
    tokens = model.tokens(first)
    experiment = reorder(model, run(model, tokens), order_of(tokens, second))
    entering = _changes(
        _entering(model, experiment.written.tokens), _entering(model, experiment.moved.tokens), experiment
    )
    leaving = _changes(experiment.written.hidden, experiment.moved.hidden, experiment)
    return Apart(
        float(entering.max()), float(experiment.change(0).max()), experiment.largest_change(), float(leaving.max()),
        _saying(experiment),
    )  # fmt: skip


def precise(model: Model) -> Model:
    """The same weights in float64 on the CPU, where rounding hides nothing."""
    layers = tuple({name: t.cpu().double() for name, t in params.items()} for params in model.layers)
    top = {name: t.cpu().double() for name, t in model.top.items()}
    head = None if model.head is None else model.head.cpu().double()
    return replace(model, embedding=model.embedding.cpu().double(), layers=layers, top=top, head=head)


def without_positions(model: Model) -> Model:
    """The same weights with their position encoding taken away: an experiment, since the model was not trained so."""
    return replace(model, position=Position())


def _entering(model: Model, tokens: Tokens) -> Tensor:
    return embed(model, torch.tensor(tokens.ids, device=model.device))


def _changes(written: Tensor, moved: Tensor, experiment: Experiment) -> Tensor:
    back = moved[torch.tensor(experiment.places).argsort()]
    return (back - written).norm(dim=-1) / written.norm(dim=-1)


def _saying(experiment: Experiment) -> float | None:
    a, b = experiment.written, experiment.moved
    if a.tokens.ids[-1] != b.tokens.ids[-1] or a.logits is None or b.logits is None:
        return None
    return float((a.logits[-1].softmax(-1) - b.logits[-1].softmax(-1)).abs().sum()) / 2
