"""One number a head: what to rank heads by. Every measure reads rows of attention weights, never whole maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.errors import InputError
from headlight.core.types import Run

Rows = Float[Tensor, "n_heads q_len kv_len"]
Queries = Int[Tensor, " q_len"]
PerQuery = Float[Tensor, "n_heads q_len"]


@dataclass(frozen=True)
class Measure:
    """title: for the menu; unit: of the number; of(rows, queries, key): one number a head and query (NaN: undefined)."""

    title: str
    unit: str
    of: Callable[[Rows, Queries, int], PerQuery]


def _weight_to_key(rows: Rows, queries: Queries, key: int) -> PerQuery:
    return rows[:, :, key]


def _weight_to_previous(rows: Rows, queries: Queries, key: int) -> PerQuery:
    before = (queries - 1).clamp(min=0)
    weights = rows.gather(2, before[None, :, None].expand(len(rows), -1, 1))[:, :, 0]
    return weights.masked_fill(queries == 0, float("nan"))


def _weight_to_first(rows: Rows, queries: Queries, key: int) -> PerQuery:
    return rows[:, :, 0].masked_fill(queries == 0, float("nan"))


def _entropy(rows: Rows, queries: Queries, key: int) -> PerQuery:
    return -torch.special.xlogy(rows, rows).sum(-1) / torch.log(torch.tensor(2.0, dtype=rows.dtype, device=rows.device))


MEASURES: Mapping[str, Measure] = {
    "weight": Measure("weight on the picked token", "weight", _weight_to_key),
    "previous": Measure("weight on the previous token", "weight", _weight_to_previous),
    "first": Measure("weight on the first token", "weight", _weight_to_first),
    "entropy": Measure("entropy (0: one token, high: spread out)", "bits", _entropy),
}


@torch.inference_mode()
def survey(run: Run, measure: str, query: int | None, key: int) -> Float[Tensor, "n_layers n_heads"]:
    """A measure of every head of every traced layer, for one query, or as the mean over all queries (query None).

    Weights are 0 to 1, entropy is in bits; NaN where a measure is undefined (the first token has no previous one).
    Raises InputError for an unknown measure or a token that is not in the text.

    >>> from headlight import load_model, run
    >>> result = run(load_model("minilm", "cpu"), "The animal didn't cross the street, because it was too tired.")
    >>> ranked(survey(result, "weight", query=11, key=2), 1)[0][:2]  # which head of which layer looks from it to animal?
    (3, 1)
    """
    if measure not in MEASURES:
        raise InputError(f"no measure is called {measure!r}; there are {', '.join(MEASURES)}")
    length = len(run.tokens)
    for token in (key, query or 0):
        if not 0 <= token < length:
            raise InputError(f"token {token} is not in this text of {length} tokens")
    chosen = slice(None) if query is None else slice(query, query + 1)
    queries = torch.arange(length, device=run.hidden.device)[chosen]
    of = MEASURES[measure].of
    return torch.stack([of(run.layers.rows(layer, chosen), queries, key).nanmean(-1) for layer in run.layers])


def ranked(values: Float[Tensor, "n_layers n_heads"], count: int) -> list[tuple[int, int, float]]:
    """The `count` highest heads as (layer, head, value), highest first; undefined ones left out."""
    flat = values.flatten()
    order = flat.nan_to_num(-1.0).argsort(descending=True, stable=True)[:count].tolist()
    return [(i // values.shape[1], i % values.shape[1], float(flat[i])) for i in order if not flat[i].isnan()]
