"""What happens if the words change places: the same tokens in another order, and the picture put back for comparison.

Without a position encoding and without a mask, attention does not know where a token stands: permuting the tokens permutes
its weights, and nothing else (Vaswani et al. 2017, section 3.5, is the reason why encodings exist; Lee et al. 2019, Set
Transformer, property 1). A causal mask breaks this, since a token sees how many came before it (Haviv et al. 2022).
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headlight.core.errors import InputError
from headlight.core.model import Model, Readable, run
from headlight.core.types import Run, Tokens


@dataclass(frozen=True)
class Experiment:
    """A text read as written and with its words in another order.

    places: for each token of `moved`, where it stands in `written`. order: the same for whole words.
    """

    written: Run
    moved: Run
    places: tuple[int, ...]
    order: tuple[int, ...]

    def put_back(self, layer: int) -> Float[Tensor, "n_heads seq seq"]:
        """The weights of `moved`, rows and columns in the written order: cell by cell beside those of `written`."""
        return self._back(self.moved.layers.rows(layer, slice(None)))

    def mask(self, layer: int) -> Bool[Tensor, "seq seq"]:
        """True where a token of `moved` may look, in the written order."""
        return self._back(self.moved.layers[layer].mask)

    def change(self, layer: int) -> Float[Tensor, " n_heads"]:
        """The largest change of any weight in each head of a layer, 0 to 1."""
        written = self.written.layers.rows(layer, slice(None))
        return (self.put_back(layer) - written).abs().flatten(1).amax(1)

    def largest_change(self) -> float:
        """The largest change of any weight in any head of any layer, 0 to 1."""
        return max(float(self.change(layer).max()) for layer in self.written.layers)

    def _back(self, cells: Tensor) -> Tensor:
        back = torch.tensor(self.places).argsort().to(cells.device)
        return cells[..., back, :][..., back]


def words(tokens: Tokens) -> list[list[int]]:
    """The tokens of each word, words being what blanks part; special tokens are in none, blank tokens go with the next word.

    >>> from headlight import load_model
    >>> tokens = load_model("minilm", "cpu").tokenizer.encode("cross the street, please")
    >>> words(tokens)
    [[1], [2], [3, 4], [5]]
    """
    text = tokens.text
    starts = [i for i, c in enumerate(text) if not c.isspace() and (i == 0 or text[i - 1].isspace())]
    found: dict[int, list[int]] = {}
    for index, (start, end) in enumerate(tokens.spans):
        if not tokens.special[index]:
            solid = end - len(text[start:end].lstrip())
            word = bisect_left(starts, end) if solid == end else bisect_right(starts, solid) - 1
            found.setdefault(min(word, len(starts) - 1), []).append(index)
    return [found[word] for word in sorted(found)]


def shuffled(count: int, seed: int) -> tuple[int, ...]:
    """An order of `count` words that a seed stands for; never the written one where there is another."""
    order, chance = list(range(count)), random.Random(seed)
    while count > 1 and order == sorted(order):
        chance.shuffle(order)
    return tuple(order)


def rearrange(tokens: Tokens, order: Sequence[int]) -> tuple[Tokens, tuple[int, ...]]:
    """The tokens with their words in another order, and for each where it stood; special tokens keep their places.

    order: word indices, each once, else InputError. The tokens remain what they are: a tokenizer would cut some words
    differently at the start of a sentence, and then no token could be compared with itself.
    """
    groups = words(tokens)
    if sorted(order) != list(range(len(groups))):
        raise InputError(f"an order of {len(groups)} words holds each of 0 to {len(groups) - 1} once, not {order}")
    moving = iter([index for word in order for index in groups[word]])
    places = tuple(i if special else next(moving) for i, special in enumerate(tokens.special))
    text, spans = _retold(tokens, [groups[word] for word in order])
    moved = Tokens(
        text, tuple(tokens.ids[i] for i in places), tuple(tokens.pieces[i] for i in places),
        tuple(spans.get(i, (0, 0)) for i in places), tuple(tokens.special[i] for i in places),
    )  # fmt: skip
    return moved, places


def _retold(tokens: Tokens, groups: list[list[int]]) -> tuple[str, dict[int, tuple[int, int]]]:
    """The text of the words one after the other, and the span that each token has in it."""
    text = ""
    spans: dict[int, tuple[int, int]] = {}
    for group in groups:
        start, end = min(tokens.spans[i][0] for i in group), max(tokens.spans[i][1] for i in group)
        raw = tokens.text[start:end]
        text += " " if text and not raw[:1].isspace() else ""
        spans |= {i: (tokens.spans[i][0] - start + len(text), tokens.spans[i][1] - start + len(text)) for i in group}
        text += raw
    return text, spans


def both_ways(model: Readable) -> Model:
    """The same weights without the causal mask: an experiment, since the model was not trained so.

    Raises InputError for a model that is not one of ours, or reads both ways already.
    """
    if not isinstance(model, Model) or not model.causal:
        raise InputError(f"{model.title} has no causal mask that could be taken away here")
    return replace(model, attention=replace(model.attention, causal=False))


def reorder(model: Readable, written: Run, order: Sequence[int]) -> Experiment:
    """The words of `written`, a run of `model`, in another order through the same model."""
    tokens, places = rearrange(written.tokens, order)
    return Experiment(written, run(model, tokens), places, tuple(order))
