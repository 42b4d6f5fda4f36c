"""What so small a model knows of English, by sentences made from words of its corpus: number agreement of subject and verb, the
gender of a reflexive pronoun, quotation marks that are closed.

Every item is a pair of next words after the same beginning, or of two beginnings before the same next word, of which one is
right (minimal pairs: Linzen et al. 2016, arXiv 1611.01368; BLiMP, arXiv 1912.00582). A model is right if it gives that one
more probability. Each answer is the right one in half of the items, so whoever always says the same is right in half of them.
All nouns occur over 100 times in the corpus, singular and plural.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.tokenizer import Tokenizer
from training.text.tokens import START

Logits = Callable[[Int[Tensor, "batch seq"], Int[Tensor, " n"], Int[Tensor, " n"]], Float[Tensor, "n vocab_size"]]
ITEMS = 500
CHANCE = 0.5
_TOGETHER = 50  # items in one forward pass

_NOUNS = (
    ("dog", "dogs"), ("cat", "cats"), ("boy", "boys"), ("girl", "girls"), ("king", "kings"), ("bird", "birds"),
    ("tree", "trees"), ("house", "houses"), ("horse", "horses"), ("child", "children"), ("man", "men"), ("woman", "women"),
    ("book", "books"), ("flower", "flowers"), ("ship", "ships"), ("star", "stars"), ("friend", "friends"),
    ("brother", "brothers"), ("sister", "sisters"), ("bear", "bears"), ("lion", "lions"), ("boat", "boats"),
    ("stone", "stones"), ("door", "doors"), ("window", "windows"), ("garden", "gardens"), ("field", "fields"),
    ("river", "rivers"), ("hill", "hills"), ("rose", "roses"), ("letter", "letters"), ("soldier", "soldiers"),
)  # fmt: skip
_VERBS = ((" is", " are"), (" was", " were"), (" has", " have"))
_THE = ("The", "My", "His", "Her", "Our", "Then the", "When the", "She said that the")
_NEAR = ("near", "behind", "beside", "with")
_SHE = (
    "The girl",
    "The woman",
    "The queen",
    "The mother",
    "The lady",
    "My aunt",
    "Her sister",
    "Mary",
    "Alice",
    "Anne",
)
_HE = (
    "The boy",
    "The man",
    "The king",
    "The father",
    "The gentleman",
    "My uncle",
    "His brother",
    "John",
    "Tom",
    "Peter",
)
_REFLEXIVE = (
    "saw",
    "hurt",
    "washed",
    "hid",
    "dressed",
    "told",
    "asked",
    "found",
    "threw",
    "warmed",
    "covered",
    "blamed",
)
_SAID = (
    "I am very tired", "Come here", "It is late", "You are right", "I do not know", "We must go home", "Give me the book",
    "The dog is in the garden", "I will help you", "She is my sister", "Look at the river", "There is nobody here",
)  # fmt: skip
_BEFORE = ("", "The boy said, ", "She looked at him. ", "Then the old man came in. ", "They waited. ")


@dataclass(frozen=True)
class Item:
    """right, wrong: (the beginning, what comes next), of which the first is to be the likelier. holds: any token that holds
    what comes next counts as it, since a quotation mark is one token with the full stop or comma before it."""

    right: tuple[str, str]
    wrong: tuple[str, str]
    holds: bool = False


@dataclass(frozen=True)
class Share:
    """accuracy: share of items in which the right one is likelier; items: how many there were."""

    accuracy: float
    items: int

    @property
    def standard_error(self) -> float:
        """Of the accuracy, from the number of items."""
        return (self.accuracy * (1 - self.accuracy) / self.items) ** 0.5


def agreement(seed: int = 0) -> list[Item]:
    """ "The dogs" -> " are", not " is"."""
    return _drawn(_agreement, seed)


def agreement_across(seed: int = 0) -> list[Item]:
    """ "The dogs near the tree" -> " are", not " is": the noun between is of the other number in half of the items."""
    return _drawn(_agreement_across, seed)


def reflexives(seed: int = 0) -> list[Item]:
    """ "The queen washed" -> " herself", not " himself"."""
    return _drawn(_reflexive, seed)


def quotes(seed: int = 0) -> list[Item]:
    """A quotation mark is likelier where one is open (She said, "Come here) than where none is (She said, Come here)."""
    return _drawn(_quote, seed)


def _drawn(make: Callable[[random.Random, int], Item], seed: int) -> list[Item]:
    rng = random.Random(seed)
    return [make(rng, i) for i in range(ITEMS)]


def _agreement(rng: random.Random, i: int) -> Item:
    return _agreeing(f"{rng.choice(_THE)} {rng.choice(_NOUNS)[i % 2]}", i % 2, rng)


def _agreement_across(rng: random.Random, i: int) -> Item:
    subject, between = rng.sample(_NOUNS, 2)
    return _agreeing(f"The {subject[i % 2]} {rng.choice(_NEAR)} the {between[i // 2 % 2]}", i % 2, rng)


def _agreeing(start: str, number: int, rng: random.Random) -> Item:
    verbs = rng.choice(_VERBS)
    return Item((start, verbs[number]), (start, verbs[1 - number]))


def _reflexive(rng: random.Random, i: int) -> Item:
    names, right, wrong = (_SHE, " herself", " himself") if i % 2 else (_HE, " himself", " herself")
    start = f"{rng.choice(names)} {rng.choice(_REFLEXIVE)}"
    return Item((start, right), (start, wrong))


def _quote(rng: random.Random, i: int) -> Item:
    before, said = rng.choice(_BEFORE), rng.choice(_SAID)
    return Item((f'{before}"{said}', '"'), (f"{before}{said}", '"'), holds=True)


SETS: Mapping[str, Callable[[], list[Item]]] = {
    "agreement": agreement, "agreement_across": agreement_across, "reflexives": reflexives, "quotes": quotes,
}  # fmt: skip


def share(tokenizer: Tokenizer, logits: Logits, items: Sequence[Item]) -> Share:
    """How often a model is right; tokenizer: puts START first.

    logits: ids (batch, seq), rows and places of them (n) -> what follows there (n, vocab_size).
    """
    sides = [side for item in items for side in (item.right, item.wrong)]
    any_of = _holding(tokenizer, items[0].right[1]) if items[0].holds else None
    scores = torch.cat([
        _scores(tokenizer, logits, sides[i : i + _TOGETHER], any_of) for i in range(0, len(sides), _TOGETHER)
    ])  # fmt: skip
    return Share(float((scores[::2] > scores[1::2]).double().mean()), len(items))


@torch.inference_mode()
def _scores(
    tokenizer: Tokenizer, logits: Logits, sides: Sequence[tuple[str, str]], any_of: Int[Tensor, " tokens"] | None
) -> Float[Tensor, " sides"]:
    """log p(what comes next | beginning) of each side; any_of: the tokens that count as it, whichever of them comes."""
    begun = [len(tokenizer.encode(start).ids) for start, _ in sides]
    wholes = [tokenizer.encode(start + next_).ids for start, next_ in sides]
    ends = begun if any_of is not None else [len(ids) - 1 for ids in wholes]
    asked = [(row, place) for row in range(len(sides)) for place in range(begun[row] - 1, max(ends[row], begun[row]))]
    rows, places = torch.tensor(asked).T
    longest = max(map(len, wholes))
    ids = torch.tensor([whole + (START,) * (longest - len(whole)) for whole in wholes])
    found = logits(ids, rows, places).log_softmax(-1)
    if any_of is not None:
        return found[:, any_of].logsumexp(-1)
    return torch.zeros(len(sides)).index_add(0, rows, found[torch.arange(len(rows)), ids[rows, places + 1]])


def _holding(tokenizer: Tokenizer, sign: str) -> Int[Tensor, " tokens"]:
    return torch.tensor([i for i in range(tokenizer.size) if sign in tokenizer.decode([i])])
