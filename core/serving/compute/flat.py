"""A layer's kept queries, keys and values as a plain list of tensors, and back: for a batch, and for the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from headlight.core.cache import KVCache
from headlight.core.positions import Position
from headlight.core.types import Projections, Step, positions

Plan = dict[str, Any]  # which tensor of the list stands where, and what is no tensor; plain enough for JSON


def flatten(p: Projections) -> tuple[Plan, list[Tensor]]:
    """The tensors of `p`, each once, and the plan that says where they stand. Position and places are not in it."""
    tensors: list[Tensor] = []
    known: dict[int, int] = {}

    def number(t: Tensor) -> int:
        key = id(t)  # `tensors` keeps it alive, so that no other can have its number
        if key not in known:
            known[key] = len(tensors)
            tensors.append(t)
        return known[key]

    plan: Plan = {name: number(getattr(p, name)) for name in ("q", "k", "v")}
    plan["cache"] = {name: number(t) for name, t in p.cache.tensors.items()}
    plan["steps"] = [[s.name, s.formula, list(s.axes), number(s.value), list(s.inputs), s.about] for s in p.steps]
    return plan, tensors


def unflatten(plan: Plan, tensors: Sequence[Tensor], position: Position) -> Projections:
    """The inverse of `flatten`, for a text read from its beginning; position: the encoding that the tensors carry."""
    q, k, v = (tensors[plan[name]] for name in ("q", "k", "v"))
    steps = tuple(
        Step(name, formula, tuple(axes), tensors[value], tuple(inputs), about)
        for name, formula, axes, value, inputs, about in plan["steps"]
    )
    cache = KVCache({name: tensors[value] for name, value in plan["cache"].items()})
    q_pos, k_pos = positions(0, q.shape[1], q.device), positions(0, k.shape[1], k.device)
    return Projections(q, k, v, q_pos, k_pos, position, cache, steps)
