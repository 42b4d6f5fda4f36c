"""What long texts show of a head, from exact rows of its weights: sinks, reach, attention by distance, copying.

Everything is taken from whole rows of the softmax, one slab of queries at a time, so that no T x T matrix is held. A profile
over all queries is exact; over every n-th query (`spread`) it is exact for those queries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.attention.base import Attention
from headlight.core.errors import InputError
from headlight.core.long.pooling import ROWS, slabs
from headlight.core.types import Projections

LOCAL = 32  # tokens: nearer than this is local
FAR = 256  # tokens: farther than this, the first tokens left out, is far
SINKS = 4  # first tokens that are left out of "far": many heads rest there (Xiao et al. 2023, arXiv 2309.17453)


@dataclass(frozen=True)
class Profile:
    """Numbers of each head of a layer. queries: the tokens that looked, in order.

    first: the weight on the first token. near: on the LOCAL nearest tokens, itself included. far: on tokens more than FAR
    away, the SINKS first ones left out. copied: the weight on tokens that follow an earlier occurrence of the same token,
    which is what induction heads do (Olsson et al. 2022, arXiv 2209.11895); NaN where there was none. by_distance: the
    weight at distance 0, 1, 2, … added up over the queries, and `pairs`, over how many queries.
    """

    queries: Int[Tensor, " q_len"]
    first: Float[Tensor, "n_heads q_len"]
    near: Float[Tensor, "n_heads q_len"]
    far: Float[Tensor, "n_heads q_len"]
    copied: Float[Tensor, "n_heads q_len"]
    by_distance: Float[Tensor, "n_heads kv_len"]
    pairs: Int[Tensor, " kv_len"]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        parts = (self.queries, self.first, self.near, self.far, self.copied, self.by_distance, self.pairs)
        return sum(t.numel() * t.element_size() for t in parts)


def spread(length: int, most: int) -> Int[Tensor, " q_len"]:
    """At most `most` tokens, evenly spread over the text, the last one among them.

    >>> spread(10, 4).tolist(), spread(3, 100).tolist()
    ([1, 4, 6, 9], [0, 1, 2])
    """
    if length <= most:
        return torch.arange(length)
    return (torch.arange(1, most + 1) * length) // most - 1


@torch.inference_mode()
def profile(
    attention: Attention, p: Projections, ids: Sequence[int], queries: Int[Tensor, " q_len"] | None = None
) -> Profile:
    """The profile of a layer. ids: the tokens, of which `copied` asks which are the same; queries: None for all.

    Raises InputError where ids and keys are not equally many, or queries are not there.
    """
    length = len(p.k_pos)
    if len(ids) != length or len(p.q_pos) != length:
        raise InputError(f"{len(ids)} ids were given for {length} keys and {len(p.q_pos)} queries")
    chosen = torch.arange(length) if queries is None else queries
    if not len(chosen) or int(chosen.min()) < 0 or int(chosen.max()) >= length:
        raise InputError(f"queries must be some of tokens 0 to {length - 1}")
    device = p.q.device
    sums = _Sums(len(p.q), length, torch.tensor(ids, device=device), chosen.to(device), attention.causal)
    part = replace(p, q=p.q[:, sums.queries], q_pos=p.q_pos[sums.queries])
    for start in range(0, len(chosen), ROWS):
        rows = (start, min(start + ROWS, len(chosen)))
        for slab in slabs(attention, part, rows, range(len(p.q))):
            sums.take(slice(slab.heads[0], slab.heads[-1] + 1), rows, slab.visible.keys, slab.weights)
    return sums.profile()


class _Sums:
    """The numbers while they are added up."""

    def __init__(self, n_heads: int, length: int, ids: Tensor, queries: Tensor, causal: bool) -> None:
        self.queries, self._ids, self._length = queries, ids, length
        # Apple's GPUs have no float64.
        dtype = torch.float32 if ids.device.type == "mps" else torch.float64
        row = torch.zeros(n_heads, len(queries), dtype=dtype, device=ids.device)
        self._rows = {name: row.clone() for name in ("first", "near", "far", "copied")}
        self._by_distance = torch.zeros(n_heads, length, dtype=dtype, device=ids.device)
        self._pairs = torch.zeros(length, dtype=torch.int64, device=ids.device)
        # How many queries have a key at each distance: to the left, and to the right where the model reads both ways.
        for reach in (queries,) if causal else (queries, length - 1 - queries):
            self._pairs += torch.bincount(reach, minlength=length).flip(0).cumsum(0).flip(0)
        if not causal:
            self._pairs[0] = len(queries)

    def take(self, heads: slice, rows: tuple[int, int], keys: tuple[int, int], weights: Tensor) -> None:
        """Adds a slab: weights (heads, rows, keys)."""
        queries = self.queries[slice(*rows)]
        places = torch.arange(*keys, device=queries.device)
        distance = (queries[:, None] - places).abs()
        at = (heads, slice(*rows))
        near, far = distance < LOCAL, (distance > FAR) & (places >= SINKS)
        self._rows["near"][at] += (weights * near).sum(-1)
        self._rows["far"][at] += (weights * far).sum(-1)
        if keys[0] == 0:
            self._rows["first"][at] += weights[..., 0]
        # A key follows an earlier occurrence where the token before it is the one that looks.
        follows = torch.zeros_like(near)
        before = self._ids[max(keys[0] - 1, 0) : keys[1] - 1]
        follows[:, len(places) - len(before) :] = self._ids[queries][:, None] == before
        follows &= places <= queries[:, None]
        copied = (weights * follows).sum(-1)
        self._rows["copied"][at] += torch.where(follows.any(-1), copied, torch.nan)
        self._by_distance[heads].scatter_add_(
            1, distance.flatten().expand(len(weights), -1), weights.flatten(1).to(self._by_distance.dtype)
        )

    def profile(self) -> Profile:
        """What came together."""
        return Profile(self.queries, **self._rows, by_distance=self._by_distance, pairs=self._pairs)


def binned(
    by_distance: Float[Tensor, "n_heads kv_len"], pairs: Int[Tensor, " kv_len"], per_decade: int = 8
) -> tuple[Float[Tensor, " bins"], Float[Tensor, "n_heads bins"]]:
    """Mean weight at a distance, in bins that grow with it: the middle of each bin (tokens), and the mean over its pairs.

    Distance 0, a token's weight on itself, is left out: it has no place on a logarithmic axis.
    """
    length = len(pairs)
    decades = math.log10(length) + 1
    grid = torch.logspace(0, decades, int(decades * per_decade) + 1, device=pairs.device, dtype=by_distance.dtype)
    edges = torch.unique(grid.long().clamp(max=length))
    sums, pairs = by_distance.cumsum(-1), pairs.cumsum(0)
    low, high = edges[:-1] - 1, edges[1:] - 1
    counted = (pairs[high] - pairs[low]).to(sums.dtype)
    means = (sums[:, high] - sums[:, low]) / counted
    return ((low + high + 1).to(sums.dtype) / 2)[counted > 0], means[:, counted > 0]


SCORES = {
    "near": f"Local: on the {LOCAL} nearest tokens",
    "far": f"Far: on tokens more than {FAR} away, the first {SINKS} left out",
    "copied": "Copying: on what followed the same token before",
    "first": "Sink: on the first token",
}


def uniform(made: Profile) -> Float[Tensor, " kv_len"]:
    """The mean weight at each distance of a causal head that looked at all it may see alike, over the same queries."""
    order = made.queries.sort().values
    from_here = (1 / (order + 1).double()).flip(0).cumsum(0).flip(0)
    at = torch.searchsorted(order, torch.arange(len(made.pairs), device=order.device))
    padded = torch.cat([from_here, from_here.new_zeros(1)])
    return padded[at] / made.pairs


def scores(made: Profile) -> Float[Tensor, "scores n_heads"]:
    """One number a head for each of SCORES: the mean over the queries for which it is defined; NaN where for none.

    `far` counts only queries that have something far to look at.
    """
    deep = made.queries > FAR + SINKS
    rows = {
        "first": made.first[:, made.queries > 0],
        "near": made.near,
        "far": made.far[:, deep],
        "copied": made.copied,
    }
    return torch.stack([rows[name].nanmean(-1) for name in SCORES])
