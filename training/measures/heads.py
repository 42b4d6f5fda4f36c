"""What single heads do: look at the previous token, and at what followed an earlier occurrence of the same token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float

from headlight.core.analysis.head_scores import survey
from headlight.core.model import Model, run
from headlight.core.types import Run, Tokens
from training.text.tokens import START

Scores = Float[torch.Tensor, "n_layers n_heads"]
REPEATED = 50  # tokens that are repeated once
SEQUENCES = 8


def previous_token(model: Model, rows: Sequence[Sequence[int]]) -> Scores:
    """Mean weight (0-1) that each head puts on the token before, over all tokens of some rows but the first."""
    return _mean(model, rows, lambda result: survey(result, "previous", None, 0))


def induction(model: Model, vocab_size: int, seed: int = 0) -> Scores:
    """Mean weight (0-1) on the token after the earlier occurrence, in random tokens repeated once (Olsson et al. 2022).

    In [A B C … A B C …] a second B looks at the first C: from position t to t - REPEATED + 1.
    """
    random = np.random.default_rng(seed)
    halves = [
        random.choice(np.arange(START + 1, vocab_size), REPEATED, replace=False).tolist() for _ in range(SEQUENCES)
    ]
    return _mean(model, [half + half for half in halves], _to_successor)


def _to_successor(result: Run) -> Scores:
    queries = torch.arange(1 + REPEATED, 1 + 2 * REPEATED)
    maps = [result.layers.rows(layer, slice(1 + REPEATED, None)) for layer in result.layers]
    return torch.stack([weights[:, queries - queries[0], queries - REPEATED + 1].mean(-1) for weights in maps])


def _mean(model: Model, rows: Sequence[Sequence[int]], score: Callable[[Run], Scores]) -> Scores:
    return torch.stack([score(run(model, opened(row))) for row in rows]).mean(0)


def opened(row: Sequence[int]) -> Tokens:
    """A row of ids as tokens of a text, START first and the last one left out where the row fills the context."""
    ids = (START, *row)
    return Tokens("", ids, tuple(map(str, ids)), ((0, 0),) * len(ids), (True, *(False,) * len(row)))
