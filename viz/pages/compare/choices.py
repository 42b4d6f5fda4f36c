"""What a person compares: models, a head, a cell, and the experiment with the order of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from headlight.core.examples import examples
from headlight.viz.pages.explore import choices as view
from headlight.viz.pages.explore.choices import NO_NUMBER, installed_models, integer
from headlight.viz.ui.link import Choices, among, choice, switch, whole
from headlight.viz.ui.state import PageState, carried_text

MOST = 4
ORDERS = {"written": "As written", "reversed": "Reversed", "shuffled": "Shuffled"}
_SEEDS = 10**9
_FIRST = ("mha-rope", "gqa-rope")  # compared when nothing else is asked for; then the registry's order
_MODELS = ("model", *(f"model{place}" for place in range(2, MOST + 1)))  # the link's parameters, one a model
_HEADS = {"matched": True, "same": False}


@dataclass(frozen=True)
class Comparison(Choices):
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    text; models: two to four names, the first is what the others are compared with; layer, head: of the first model;
    matched: other models show the head nearest to it, not the one of the same number; query, key: the picked cell, counted
    in what is compared (tokens or parts); skip_first: as in Explore. The experiment with the order of words: order, of
    ORDERS; seed: of the shuffle; both_ways: without the causal mask; subject: the model that it is made with.
    """

    text: str = choice()
    models: tuple[str, ...] = choice(rule=None)
    layer: int | None = choice(None, integer, refused=NO_NUMBER)
    head: int | None = choice(None, integer, refused=NO_NUMBER)
    query: int | None = choice(None, integer, refused=NO_NUMBER)
    key: int | None = choice(None, integer, refused=NO_NUMBER)
    matched: bool = choice(
        True, _HEADS.get, parameter="heads", spell=lambda matched: "matched" if matched else "same",
        refused="The link's way of choosing heads is unknown; the best-matching ones are shown.",
    )  # fmt: skip
    skip_first: bool = choice(False, switch)
    order: str = choice(
        "written", among(ORDERS), refused="The link's order of words is unknown; the sentence is read as written."
    )
    seed: int = choice(
        0, whole(0, _SEEDS - 1), refused="The link's seed is not a number from 0; the shuffle is that of seed 0."
    )
    both_ways: bool = choice(False, switch)
    subject: str | None = choice(None)

    @classmethod
    def parse(cls, link: Mapping[str, str], start: Self) -> tuple[Self, list[str]]:
        """The base's, with the models of up to four parameters; fewer than two are filled up from `start`."""
        choices, notes = super().parse(link, start)
        models = tuple(dict.fromkeys(link[name] for name in _MODELS if name in link))
        return replace(choices, models=completed(models, start.models)), notes

    def link(self) -> dict[str, str]:
        """The base's, with a parameter for each model."""
        return super().link() | dict(zip(_MODELS, self.models, strict=False))

    def reshuffled(self) -> int:
        """The seed of the next shuffle."""
        return (self.seed + 1) % _SEEDS


def default_models(installed: Sequence[str]) -> tuple[str, ...]:
    """Two models to begin with."""
    return tuple(sorted(installed, key=lambda name: name not in _FIRST))[:2]


def start() -> Comparison:
    """Where the page begins: the sentence of the page before, and two models."""
    return Comparison(text=carried_text(examples()[0].text), models=default_models(installed_models()))


state = PageState("compare", Comparison, start)


def completed(models: tuple[str, ...], spare: tuple[str, ...]) -> tuple[str, ...]:
    """The models, filled up to two with others of `spare`."""
    more = [name for name in spare if name not in models]
    return models + tuple(more[: max(0, 2 - len(models))])


def with_model(models: tuple[str, ...], place: int, name: str | None) -> tuple[str, ...]:
    """The models after `name` was chosen at `place`: it trades places if it was there already; None takes that place out."""
    chosen = list(models)
    if name is None:
        return models if len(models) <= 2 else tuple(chosen[:place] + chosen[place + 1 :])
    if name in models and place < len(models):
        chosen[models.index(name)] = models[place]
    if name in models and place >= len(models):
        return models
    return (*chosen[:place], name, *chosen[place + 1 :])


def settle(choices: Comparison, *, n_layers: int, n_heads: int, length: int) -> tuple[Comparison, list[str]]:
    """The nearest layer, head and cell that exist, with a note on each change; choices not made (None) stay so."""
    asked = view.Choices(choices.text, "", choices.layer, choices.head, choices.query, choices.key)
    found, notes = view.settle(asked, n_layers=n_layers, n_heads=n_heads, length=length, causal=False)
    return replace(choices, layer=found.layer, head=found.head, query=found.query, key=found.key), notes
