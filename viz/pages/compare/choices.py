"""What a person compares, as one value: read from a link, written back to a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headlight.viz.pages.explore import choices as view
from headlight.viz.pages.explore.choices import Choices

MOST = 4
ORDERS = {"written": "As written", "reversed": "Reversed", "shuffled": "Shuffled"}


@dataclass(frozen=True)
class Comparison:
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    text; models: two to four names, the first is what the others are compared with; layer, head: of the first model;
    matched: other models show the head nearest to it, not the one of the same number; query, key: the picked cell, counted
    in what is compared (tokens or parts); skip_first: as in Explore. The experiment with the order of words: order, of
    ORDERS; seed: of the shuffle; both_ways: without the causal mask; subject: the model that it is made with.
    """

    text: str
    models: tuple[str, ...]
    layer: int | None = None
    head: int | None = None
    query: int | None = None
    key: int | None = None
    matched: bool = True
    skip_first: bool = False
    order: str = "written"
    seed: int = 0
    both_ways: bool = False
    subject: str | None = None


_NUMBERS = ("layer", "head", "query", "key")
_MODELS = ("model", *(f"model{place}" for place in range(2, MOST + 1)))


def to_link(choices: Comparison) -> dict[str, str]:
    """The parameters of the address bar; what is off or not chosen is left out."""
    link = {"text": choices.text} | dict(zip(_MODELS, choices.models, strict=False))
    link |= {name: str(getattr(choices, name)) for name in _NUMBERS if getattr(choices, name) is not None}
    link |= {} if choices.matched else {"heads": "same"}
    link |= {name: "1" for name in ("skip_first", "both_ways") if getattr(choices, name)}
    link |= {} if choices.order == "written" else {"order": choices.order}
    link |= {} if choices.seed == 0 else {"seed": str(choices.seed)}
    return link | ({} if choices.subject is None else {"subject": choices.subject})


def from_link(params: Mapping[str, str], fallback: Comparison) -> tuple[Comparison, list[str]]:
    """The comparison that a link asks for, gaps filled from `fallback`, and a note for each value that is no such thing.

    Only shapes are checked here; whether a model or a layer exists is known on the page.
    """
    known = {name: params[name] for name in ("text", "skip_first", *_NUMBERS) if name in params}
    plain, notes = view.from_link(known, Choices(fallback.text, ""))
    numbers = {name: getattr(plain, name) for name in _NUMBERS}
    models = tuple(dict.fromkeys(params[name] for name in _MODELS if name in params))
    order, heads, seed = params.get("order", "written"), params.get("heads", "matched"), params.get("seed", "0")
    if order not in ORDERS:
        notes.append("The link's order of words is unknown; the sentence is read as written.")
    if heads not in ("matched", "same"):
        notes.append("The link's way of choosing heads is unknown; the best-matching ones are shown.")
    if not _is_seed(seed):
        notes.append("The link's seed is not a number from 0; the shuffle is that of seed 0.")
    return Comparison(
        text=plain.text, models=completed(models, fallback.models), **numbers, matched=heads != "same",
        skip_first=plain.skip_first, order=order if order in ORDERS else "written",
        seed=int(seed) if _is_seed(seed) else 0, both_ways=params.get("both_ways") == "1", subject=params.get("subject"),
    ), notes  # fmt: skip


def _is_seed(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= 9


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
    numbers = {name: getattr(choices, name) for name in _NUMBERS}
    settled, notes = view.settle(
        Choices(choices.text, "", **numbers), n_layers=n_layers, n_heads=n_heads, length=length, causal=False
    )
    return replace(choices, **{name: getattr(settled, name) for name in _NUMBERS}), notes
