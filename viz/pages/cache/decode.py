"""KV cache, decode cost: bytes and operations of a new token for each way to attend, and what a card makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from headlight.core.export.table import rows_to_csv
from headlight.core.memory.config.wording import decimal
from headlight.core.memory.decode_cost import StepCost, Way, flop, own_kv_heads, plain, ways
from headlight.core.memory.hardware import Card, cards
from headlight.core.memory.precision import precision
from headlight.core.memory.shape import CacheShape
from headlight.viz import store
from headlight.viz.figures import cost_bars, roofline
from headlight.viz.figures.cache.costs import Point
from headlight.viz.pages.cache.choices import BATCHES, CACHE_PRECISIONS, CONTEXTS, CacheChoices, state
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

_INTRO = (
    "To make one token, a decoder reads everything it remembers. MHA reads much and computes little: it waits for memory. "
    "Sharing keys and values (GQA, MQA) reads less and computes the same. Absorbed MLA reads one small latent and lets every "
    "head compute on all of it: more arithmetic, far less reading. The roof is what a GPU can do at best; real kernels reach "
    "part of it."
)


@dataclass(frozen=True)
class _Shown:
    """What is drawn: the model, its ways with their costs for one layer, the card, and whether projections count."""

    shape: CacheShape
    ways: Mapping[str, Way]
    costs: Mapping[str, StepCost]
    card: Card
    batch: int
    weights: bool

    def a_token(self, name: str) -> Point:
        """Operations and bytes of one new token in all layers."""
        cost, layers = self.costs[name], self.shape.n_layers
        return Point(
            name, self.ways[name].title, cost.operations(self.weights) * layers / self.batch,
            cost.traffic(self.weights) * layers / self.batch,
        )  # fmt: skip

    def seconds(self, name: str) -> float:
        """The shortest time of a step through all layers."""
        return self.card.seconds(self.costs[name], self.weights) * self.shape.n_layers


def draw(choices: CacheChoices, look: Theme) -> tuple[CacheChoices, list[str]]:
    """Controls, roofline and bars, table, sources."""
    shapes, table = _shapes(), cards()
    choices, notes = _settle(choices, shapes, table)
    st.markdown(_INTRO)
    _controls(choices, shapes, table)
    shape = shapes[choices.decode_model]
    found = ways(shape, choices.decode_kv_heads or own_kv_heads(shape))
    held = precision(choices.decode_precision)
    costs = {name: way.cost(choices.decode_context, choices.decode_batch, held) for name, way in found.items()}
    shown = _Shown(shape, found, costs, table[choices.decode_card], choices.decode_batch, choices.decode_weights)
    points = [shown.a_token(name) for name in found]
    left, right = st.columns(2, gap="medium")
    with left:
        picture(
            roofline(points, shown.card, others=list(table.values()), theme=look), "roofline", _told(shown, points),
            f"Left of the ridge a step waits for memory, right of it for arithmetic. {shown.card.title}: "
            f"{shown.card.flops / 1e12:,.0f} TFLOP/s dense bfloat16, {shown.card.bandwidth / 1e12:.3g} TB/s; the other cards "
            "faintly.",
        )  # fmt: skip
    with right:
        picture(
            cost_bars(points, theme=look), "cost_bars", ", ".join(
                f"{p.title}: {decimal(p.traffic)}, {flop(p.operations)}" for p in points
            ) + ".",
            "For one new token of one sequence. KB is 1000 bytes; a multiplication and an addition are two operations.",
        )  # fmt: skip
    _table(shown, points)
    _reading(choices)
    _take_away(choices, shown)
    _sources(table)
    return choices, notes


def _shapes() -> dict[str, CacheShape]:
    """Models of the catalogue all of whose layers attend alike, by slug."""
    return {slug: model.shape for slug, model in store.catalogue().items() if model.verified and plain(model.shape)}


def _settle(
    choices: CacheChoices, shapes: Mapping[str, CacheShape], table: Mapping[str, Card]
) -> tuple[CacheChoices, list[str]]:
    notes, plain_choices = [], CacheChoices(text="")
    if choices.decode_model not in shapes:
        notes.append("The link's model isn't one whose decoding can be counted here; using the default.")
        choices = replace(choices, decode_model=plain_choices.decode_model, decode_kv_heads=None)
    if choices.decode_card not in table:
        notes.append("The link's GPU isn't in the table; using the default.")
        choices = replace(choices, decode_card=plain_choices.decode_card)
    shape = shapes[choices.decode_model]
    if choices.decode_kv_heads is not None and shape.n_heads % choices.decode_kv_heads:
        notes.append(
            f"GQA's KV heads ({choices.decode_kv_heads}) must divide {shape.name}'s {shape.n_heads} heads; "
            "using the default."
        )
        choices = replace(choices, decode_kv_heads=None)
    return choices, notes


def _controls(choices: CacheChoices, shapes: Mapping[str, CacheShape], table: Mapping[str, Card]) -> None:
    shape = shapes[choices.decode_model]
    with state.row("decode_model"):
        state.menu(
            "Sizes of", "decode_model", choices.decode_model, list(shapes), format_func=lambda slug: shapes[slug].name,
            take=_other_model, width=230,
        )  # fmt: skip
        state.menu(
            "Card", "decode_card", choices.decode_card, list(table), format_func=lambda name: table[name].title, width=190
        )  # fmt: skip
        state.menu(
            "Cache held in", "decode_precision", choices.decode_precision, CACHE_PRECISIONS, width=120,
            help="Of the remembered numbers; arithmetic and weights stay bfloat16.",
        )  # fmt: skip
        state.toggle(
            "Count the projections", "decode_weights", choices.decode_weights,
            help="The layer's projections, too: their weights are read once a step for all sequences together, so a larger "
            "batch shares them. Feed-forward parts are never counted here.",
        )  # fmt: skip
    with state.row("decode"):
        state.steps(
            "Context (tokens)", "decode_context", choices.decode_context, CONTEXTS, width=260, format_func=lambda n: f"{n:,}"
        )  # fmt: skip
        state.steps("Sequences at once", "decode_batch", choices.decode_batch, BATCHES, width=220)
        state.steps(
            "KV heads of GQA", "decode_kv_heads", choices.decode_kv_heads or own_kv_heads(shape), _divisors(shape.n_heads),
            width=200,
        )  # fmt: skip


def _other_model(slug: str) -> None:
    state.change(decode_model=slug, decode_kv_heads=None)


def _divisors(n: int) -> list[int]:
    return [k for k in range(1, n + 1) if n % k == 0]


def _told(shown: _Shown, points: list[Point]) -> str:
    return ", ".join(
        f"{p.title}: {p.intensity:.3g} operations per byte, bound by {shown.card.bound(shown.costs[p.name], shown.weights)}"
        for p in points
    )


def _table(shown: _Shown, points: list[Point]) -> None:
    rows = [
        {"attention": p.title, "kept (numbers)": f"{shown.ways[p.name].row.elements:,}", "bytes": decimal(p.traffic),
         "operations": flop(p.operations), "operations per byte": f"{p.intensity:.4g}",
         "bound by": shown.card.bound(shown.costs[p.name], shown.weights), "step at best": _time(shown.seconds(p.name)),
         "tokens per second": f"{shown.batch / shown.seconds(p.name):,.3g}",
         "cache": decimal(shown.costs[p.name].cache_bytes * shown.shape.n_layers)}
        for p in points
    ]  # fmt: skip
    st.dataframe(rows, hide_index=True, key="cache_decode_table", height=35 * (len(rows) + 1) + 3)
    st.caption(
        f"{shown.shape.name}: {shown.shape.n_layers} layers, {shown.shape.n_heads} heads. Kept: per token per layer. Bytes and "
        "operations: for a new token, all layers. Step, tokens per second, cache: all layers, all sequences. Attention alone, "
        "on one GPU that would hold it all; bounds, not measurements."
    )


def _time(seconds: float) -> str:
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _reading(choices: CacheChoices) -> None:
    st.markdown(
        "- **MHA, GQA, MQA** do the same arithmetic; each remembered number serves one head, a group, or all heads: one "
        "operation per byte for each query head that shares it (16-bit numbers).\n"
        "- **MLA absorbed** multiplies every head with the whole latent: nearly two operations per byte and head. With 128 "
        "heads that comes close to the ridge of today's GPUs.\n"
        "- **MLA, full K and V** is what a decoder without absorption and with a full cache does; **MLA expanded anew** "
        "keeps the latent and makes all keys and values from it at each step, writing and reading them again.\n"
        "- Operations per byte do not depend on context or batch, unless the projections count."
    )


def _take_away(choices: CacheChoices, shown: _Shown) -> None:
    heads = choices.decode_kv_heads or own_kv_heads(shown.shape)
    take_away(
        state,
        "decode",
        "from headlight.core.memory.decode_cost import ways\nfrom headlight.core.memory.hardware import card\n"
        "from headlight.core.memory.precision import precision\nfrom headlight.core.memory.published import published\n"
        f'shape = published()["{choices.decode_model}"].shape\n'
        f"costs = {{name: way.cost({choices.decode_context}, batch={choices.decode_batch}, "
        f'cache=precision("{choices.decode_precision}"))\n'
        f"         for name, way in ways(shape, {heads}).items()}}  # one layer\n"
        f'{{name: (cost.traffic({choices.decode_weights}), cost.operations({choices.decode_weights}), '
        f'card("{choices.decode_card}").seconds(cost, {choices.decode_weights})) for name, cost in costs.items()}}',
        {"Decode cost": lambda: _sheet(shown)},
    )  # fmt: skip


def _sheet(shown: _Shown) -> str:
    headings = [
        "attention", "layers", "sequences", "cache bytes per layer", "expanded bytes per layer", "weight bytes per layer",
        "operations per layer", "weight operations per layer", "operations per byte", "seconds per step at best",
    ]  # fmt: skip
    rows = [
        [shown.ways[name].title, shown.shape.n_layers, shown.batch, c.cache_bytes, c.expanded_bytes, c.weight_bytes, c.flops,
         c.weight_flops, c.intensity(shown.weights), shown.seconds(name)]
        for name, c in shown.costs.items()
    ]  # fmt: skip
    return rows_to_csv(headings, rows)


def _sources(table: Mapping[str, Card]) -> None:
    with st.expander("Where the GPUs' numbers come from"):
        st.table(
            [
                {"card": card.title, "dense bfloat16": f"{card.flops / 1e12:,.5g} TFLOP/s",
                 "memory": f"{card.bandwidth / 1e12:.4g} TB/s, {card.memory / 1e9:.0f} GB", "source": card.source,
                 "how it was taken": card.status}
                for card in table.values()
            ]
        )  # fmt: skip
