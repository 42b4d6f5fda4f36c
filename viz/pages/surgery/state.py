"""Surgery: what is on screen once every choice is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from headlight.core.analysis.head_scores import ranked, survey
from headlight.core.attention import GQA, Attention
from headlight.core.errors import HeadlightError, InputError
from headlight.core.examples import examples, locate
from headlight.core.model import Model
from headlight.core.serving.conversions import Point
from headlight.core.surgery import Conversion, Converted
from headlight.core.surgery.base import heads_of
from headlight.core.surgery.methods import METHODS, convertible, grid
from headlight.core.surgery.whole import distances, weights_of
from headlight.core.types import Run, Traces
from headlight.viz import store
from headlight.viz.pages.explore import choices as plain_view
from headlight.viz.pages.surgery.choices import SurgeryChoices, nearest
from headlight.viz.ui.visitor import asking


@dataclass(frozen=True, eq=False)
class Shown:
    """What is on screen: the model, the conversion and its setting, and the weights of one layer before and after.

    run: the text through the model as trained; source: its attention; new: the attention after; converted: the layer alone,
    None where all layers are; before, after: (n_heads, seq, seq) tensors; apart: Jensen-Shannon distances (n_heads,).
    """

    name: str
    model: Model
    source: GQA
    conversion: Conversion
    setting: int
    run: Run
    new: Attention
    converted: Converted
    before: Any
    after: Any
    apart: Any

    @property
    def exact(self) -> bool:
        """Whether nothing is lost but rounding."""
        return self.conversion.exact(self.source, self.model.position, self.setting)

    @property
    def point(self) -> Point:
        """As the conversion store measures it."""
        return Point(self.name, self.conversion, self.setting)

    def without_numbers(self) -> Shown:
        """The same without what grows with the text: for whatever is kept for as long as the page is open."""
        run = replace(self.run, layers=Traces({}), hidden=self.run.hidden[:0].clone())
        nothing = self.before.new_empty(0)
        return replace(self, run=run, before=nothing, after=nothing)

    def cached_bytes(self, attention: Attention) -> int:
        """Bytes cached per token in all layers, in half precision."""
        return attention.cached_elements_per_token() * self.model.n_layers * 2


def model_of(choices: SurgeryChoices) -> Model:
    """The chosen model; raises InputError for one that cannot be converted."""
    return convertible(store.model(choices.model))


def settle(choices: SurgeryChoices, model: Model) -> tuple[SurgeryChoices, list[str]]:
    """Every number a possible one, with a note on each change; what was not chosen is chosen here.

    Raises InputError for a method that the model cannot take.
    """
    source, notes = _heads(model), []
    choices, more = _rotary(choices, source)
    notes += more
    conversion = choices.conversion
    refusal = conversion.refusal(source, model.position)
    if refusal:
        raise InputError(f"{conversion.title} cannot be done to {model.title}: {refusal}")
    there, wanted = conversion.settings(source), choices.setting
    found = nearest(there, wanted, _default(conversion, there))
    if wanted is not None and found != wanted:
        notes.append(f"{_why_not(conversion, source, model, wanted)}; showing {found}.")
    settled = replace(choices, heads=found) if conversion.counts == "heads" else replace(choices, rank=found)
    return settled, notes


def _heads(model: Model) -> GQA:
    heads = heads_of(model.attention)
    if heads is None:  # `convertible` says so before
        raise InputError(f"{model.title} has no key and value heads")
    return heads


def _rotary(choices: SurgeryChoices, source: GQA) -> tuple[SurgeryChoices, list[str]]:
    if choices.method != "decoupled" or choices.rotary < source.head_dim:
        return choices, []
    width = source.head_dim // 2
    note = f"{choices.rotary} rotary dimensions do not fit: a head has {source.head_dim}, some must be left; showing {width}."
    return replace(choices, rotary=width), [note]


def _default(conversion: Conversion, there: Any) -> int:
    return there[(len(there) - 1) // 2] if conversion.counts == "rank" else there[max(len(there) - 2, 0)]


def _why_not(conversion: Conversion, source: GQA, model: Model, wanted: int) -> str:
    try:
        conversion.check(source, model.position, wanted)
    except HeadlightError as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}"
    return f"{wanted} is not there"


def spots(choices: SurgeryChoices, model: Model, run: Run) -> tuple[SurgeryChoices, list[str]]:
    """Layer, head and cell that exist; a head worth seeing where none was chosen."""
    wanted = plain_view.Choices("", "", choices.layer, choices.head, choices.query, choices.key)
    found, notes = plain_view.settle(
        wanted, n_layers=model.n_layers, n_heads=model.n_heads, length=len(run.tokens), causal=model.causal
    )
    layer, head = found.layer, found.head
    if layer is None or head is None:
        best = _worth_seeing(choices, run)
        layer, head = best[0] if layer is None else layer, best[1] if head is None else head
    return replace(choices, layer=layer, head=head, query=found.query, key=found.key), notes


def _worth_seeing(choices: SurgeryChoices, run: Run) -> tuple[int, int]:
    example = next((e for e in examples() if e.text == choices.text), examples()[0])
    spot = example.spot(choices.model)
    if spot is not None:
        return spot.layer, spot.head
    query, key = locate(next(iter(example.spots.values())), run.tokens.pieces)
    if key is None:
        return len(run.layers) // 2, 0
    return ranked(survey(run, "weight", query, key), 1)[0][:2]


def shown(choices: SurgeryChoices, model: Model, run: Run) -> Shown:
    """The layer on screen, converted now; the whole model behind it where all layers are asked for."""
    layer, setting = choices.layer or 0, choices.setting or 1
    shop, conversion, bar = store.conversions(), choices.conversion, _Bar()
    if conversion.calibrated and not shop.calibrated(choices.model):
        shop.moments(choices.model, bar.show)
    converted = shop.layer(choices.model, conversion, setting, layer)
    before = run.layers.rows(layer, slice(None))
    if choices.whole:
        slow = None if shop.ready(choices.model, conversion) else bar.show
        with asking() as caller:
            made = shop.run(choices.model, conversion, setting, choices.text, slow, caller)
        after = made.layers.rows(layer, slice(None))
    else:
        with asking() as caller:
            read = shop.inputs(choices.model, choices.text, caller)
        after = weights_of(model, converted, read[layer])
    bar.done()
    return Shown(
        choices.model, model, _heads(model), conversion, setting, run, converted.attention, converted, before, after,
        distances(before, after),
    )  # fmt: skip


class _Bar:
    """A progress bar that is there only if something takes long."""

    def __init__(self) -> None:
        self._place = st.empty()

    def show(self, done: float, what: str) -> None:
        """done: 0 to 1."""
        self._place.progress(min(done, 1.0), text=f"First time for this model: {what}…")

    def done(self) -> None:
        """Takes it away."""
        self._place.empty()


def curve_points(choices: SurgeryChoices, model: Model) -> dict[str, list[Point]]:
    """The points of each method's curve that the model can take, by the method's name: the chosen method's first."""
    source = _heads(model)
    order = [choices.method, *(name for name in METHODS if name != choices.method)]
    points = {}
    for name in order:
        conversion = _fitting(replace(choices, method=name), source).conversion
        if conversion.refusal(source, model.position) is None:
            points[name] = [Point(choices.model, conversion, setting) for setting in grid(conversion, source)]
    return points


def _fitting(choices: SurgeryChoices, source: GQA) -> SurgeryChoices:
    return _rotary(choices, source)[0]
