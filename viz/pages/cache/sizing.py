"""KV cache: what Models and Your model share: how it is used, bars, curves, what fits, and the model with other attention."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from headlight.core.errors import ConfigError
from headlight.core.export.cache_sizes import curves_to_csv, to_csv
from headlight.core.memory.bounds import MAX_TOKENS
from headlight.core.memory.config.wording import binary, decimal, exact, formula, number
from headlight.core.memory.deployment import CONTEXTS as DRAWN
from headlight.core.memory.deployment import Deployment
from headlight.core.memory.engines.per_gpu import Formats
from headlight.core.memory.engines.rules import ENGINES, Serving
from headlight.core.memory.fit import GB, GPUS, weights_bytes
from headlight.core.memory.precision import PRECISIONS as KINDS
from headlight.core.memory.shape import CacheShape, Latent
from headlight.core.memory.sizes import bytes_per_token, growing_bytes_per_token, indexer_bytes_at
from headlight.viz.figures import Bar, Line, memory_bars, memory_curves
from headlight.viz.pages.cache.choices import CARDS, NATIVE, NO_WEIGHTS, PRECISIONS, WEIGHTS, CacheChoices, state
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

_CONTEXTS = tuple(2**n for n in range(8, 24))
_BATCHES = (*(2**n for n in range(9)), 1024)
UNITS = "KB, MB and GB are powers of 1,000 bytes, KiB and MiB of 1,024."
_RESERVED = (
    "A layer with a window needs no more than the window's tokens. An engine with one table of pages for all layers sets aside "
    "room for every token in every layer, in pages of 16; vLLM's log counts that way."
)


def usage(choices: CacheChoices) -> None:
    """The controls: context, sequences, precisions, cards."""
    context, batch = choices.models_context, choices.models_batch
    with state.row("usage"):
        state.steps(
            "Context (tokens)", "models_context", context, sorted({*_CONTEXTS, context}), width=230, format_func="{:,}".format
        )  # fmt: skip
        state.steps("Sequences at once", "models_batch", batch, sorted({*_BATCHES, batch}), width=160)
        state.menu("Cache in", "models_precision", choices.models_precision, PRECISIONS, width=170, format_func=_kind)
        state.menu("Weights in", "models_weights", choices.models_weights, WEIGHTS, width=160, format_func=_kind)
        state.menu("Cards", "models_cards", choices.models_cards, CARDS, width=84)
        state.menu("of", "models_card", choices.models_card, GPUS, width=116, format_func="{} GB".format)
        state.toggle("As engines reserve", "models_reserved", choices.models_reserved, help=_RESERVED)


def _kind(name: str) -> str:
    if name in (NATIVE, NO_WEIGHTS):
        return {NATIVE: "as published", NO_WEIGHTS: "not counted"}[name]
    kind = KINDS[name]
    return f"{kind.title} ({number(kind.bits_per_element)} bits)" if kind.scale_bits else kind.title


def deployment(shape: CacheShape, choices: CacheChoices, parameters: int | None) -> Deployment:
    """The model on the chosen cards; parameters: how many weights it has, None if that is not known."""
    kind = shape.native if choices.models_precision == NATIVE else choices.models_precision
    if choices.models_weights == NO_WEIGHTS:
        weights: int | None = 0
    else:
        weights = None if parameters is None else weights_bytes(parameters, KINDS[choices.models_weights])
    memory = choices.models_cards * choices.models_card * GB
    return Deployment(
        shape, KINDS[kind], choices.models_context, choices.models_batch, memory, weights, choices.models_reserved
    )  # fmt: skip


def bar(plan: Deployment, title: str = "") -> Bar:
    """One bar of a figure."""
    text = f"{formula(plan.shape, plan.precision, plan.context, plan.batch)} = {exact(plan.ideal)}"
    reserved = plan.size if plan.reserved and plan.shape.windowed and not plan.shape.compressed else None
    return Bar(title or plan.shape.name, plan.parts, text, reserved)


def bars(plans: Sequence[Deployment], name: str, look: Theme) -> None:
    """What the caches take, one bar a model."""
    plan = plans[0]
    many = f", {plan.batch:,} sequences" if plan.batch > 1 else ""
    title = f"KV cache at {plan.context:,} tokens{many}"
    told = "; ".join(f"{plan.shape.name} {decimal(plan.ideal)}" for plan in plans)
    picture(
        memory_bars([bar(plan) for plan in plans], title, theme=look), f"{name}_bars", f"{title}: {told}.",
        "Below each bar: layers × values kept per token per layer × tokens × bytes per value. " + UNITS,
    )  # fmt: skip


def curves(plans: Sequence[Deployment], name: str, choices: CacheChoices, look: Theme) -> None:
    """Memory against context, with the GPUs as levels."""
    axis = "weights and cache" if any(plan.weights for plan in plans) else "cache"
    many = f"{choices.models_cards} × " if choices.models_cards > 1 else ""
    levels = {f"{many}{gpu} GB": float(choices.models_cards * gpu * GB) for gpu in GPUS}
    lines = [
        Line(
            plan.shape.name + ("" if plan.weights is not None else " (cache alone)"), plan.total(DRAWN),
            plan.total([plan.context])[0], plan.shape.max_context,
        )
        for plan in plans
    ]  # fmt: skip
    title = f"{axis.capitalize()} against context" + (f", {plans[0].batch:,} sequences" if plans[0].batch > 1 else "")
    figure = memory_curves(
        DRAWN, lines, choices.models_context, levels, title, chosen=f"{many}{choices.models_card} GB", axis=axis, theme=look
    )  # fmt: skip
    told = "; ".join(f"{line.title} {decimal(line.at)}" for line in lines)
    picture(
        figure, f"{name}_curves", f"{title}. At {choices.models_context:,} tokens: {told}.",
        "Where a line crosses a level, those GPUs are full. Faint: beyond the context that the model was trained for.",
    )  # fmt: skip


def fits(plans: Sequence[Deployment], choices: CacheChoices) -> None:
    """A token's bytes, weights, and how many tokens and sequences fit, a row a model."""
    cards = f"{choices.models_cards} × {choices.models_card} GB"
    st.table([_row(plan, cards) for plan in plans])
    st.caption(
        f"Tokens: the longest context of {'each of ' if choices.models_batch > 1 else ''}{choices.models_batch:,} "
        f"sequence{'s' if choices.models_batch > 1 else ''}; sequences: of {choices.models_context:,} tokens each. A card's GB "
        "is 10⁹ bytes; room for activations, the engine itself and copies on several GPUs is not taken off."
    )  # fmt: skip


def _row(plan: Deployment, cards: str) -> dict[str, str]:
    a_token = bytes_per_token(plan.shape, plan.precision)
    growing = growing_bytes_per_token(plan.shape, plan.precision)
    weights = {None: "size not known", 0: "not counted"}.get(plan.weights, decimal(plan.weights or 0))
    return {
        "model": markdown_text(plan.shape.name),
        "a token": f"{exact(a_token)} ({binary(a_token)})",
        "of it growing on": "all" if growing == a_token else f"{exact(growing)}",
        "weights": weights,
        f"left on {cards}": decimal(plan.memory if plan.room is None else plan.room),
        "tokens that fit": _count(plan.tokens, plan, f"over {MAX_TOKENS:,}" if growing else "any number"),
        "sequences that fit": _count(plan.users, plan, "any number"),
    }


def _count(value: int | None, plan: Deployment, without_end: str) -> str:
    return without_end if value is None else f"{'at most ' if plan.weights is None else ''}{value:,}"


def beside(plans: Sequence[Deployment], gpus: int) -> None:
    """What engines reserve on each GPU, what is kept beside the caches, or counted otherwise, in words."""
    notes = [
        f"{markdown_text(plan.shape.name)}: {note}" for plan in plans for note in (*_engines(plan, gpus), *_notes(plan))
    ]
    if notes:
        st.caption("  \n".join(notes))


def _engines(plan: Deployment, gpus: int) -> list[str]:
    """What each engine reserves on one GPU by its published rule; nothing where heads cannot be spread so."""
    serving = Serving(plan.context, plan.batch, tp=gpus)
    try:
        sizes = {
            rule.title: rule.bytes_on_gpu(plan.shape, serving, Formats(plan.precision, deepseek=rule.deepseek))
            for name, rule in ENGINES.items()
            if name in ("vllm", "sglang", "llama.cpp")
        }
    except ConfigError as error:
        return [f"in engines, one GPU each for a part of the heads: {error}."]
    told = " · ".join(f"{title} {decimal(size)}" for title, size in sizes.items())
    return [f"on each of {gpus} GPUs, heads shared among them (indexers counted): {told}."]


def _notes(plan: Deployment) -> list[str]:
    shape, notes = plan.shape, []
    if shape.indexer_dim:
        size = indexer_bytes_at(shape, plan.context, plan.precision, plan.batch)
        some = f" (in {shape.indexed} of {shape.n_layers} layers)" if shape.indexed < shape.n_layers else ""
        notes.append(
            f"its indexer keeps {shape.indexer_dim} more values per token per layer, {decimal(size)} here{some}."
        )
    reasons = {group.reason: group.count for group in shape.groups if group.row is None}
    if reasons:
        why = markdown_text(", ".join(filter(None, reasons)))
        notes.append(
            f"{sum(reasons.values())} of {shape.n_layers} layers keep nothing that grows{f' ({why})' if why else ''}."
        )
    if shape.mla is not None and shape.mla.row == Latent(512, 64) and plan.precision.title == "fp8":
        notes.append(
            "FlashMLA's own fp8 row takes 656 bytes, not 576: its rotated key stays in bf16, and four scales are kept."
        )
    if shape.compressed:
        notes.append("one row for several tokens; tokens of a row that is not full yet are not counted.")
    return notes


def exports(plans: Sequence[Deployment], name: str, code: str) -> None:
    """The numbers as CSV, and the calls for a notebook."""
    shapes, kinds = [plan.shape for plan in plans], [plan.precision for plan in plans]
    first, rooms = plans[0], [plan.memory if plan.room is None else plan.room for plan in plans]
    take_away(
        state, name, code,
        {
            "Cache sizes": lambda: to_csv(shapes, kinds, first.context, first.batch, rooms),
            "Cache curves": lambda: curves_to_csv(shapes, kinds, DRAWN, first.batch),
        },
    )  # fmt: skip
