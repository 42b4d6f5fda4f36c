"""Exact maps of blocks of attention weights: the largest weight and the sum of weights in each block, without a T x T matrix.

The softmax is taken over a slab of query rows at a time (at most ROWS, all query heads that share a key-value head
together, so that keys are never repeated), each slab reduced to cells before the next one is made. Memory is
ROWS x heads of a KV head x kv_len numbers, twice; time is one product q kᵀ and one exponential a pair of tokens that may
see each other: columns that no query of a slab may see (later tokens, tokens before a window) are not computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from headlight.core.attention.base import Attention
from headlight.core.errors import InputError
from headlight.core.types import Projections

ROWS = 64  # query rows of a slab


@dataclass(frozen=True)
class Region:
    """Which part of a map, in what grain: queries and keys as [start, stop) of their tokens, cells of cell x cell tokens.

    The last cells of each side may be smaller. Raises InputError for an empty region or a cell without tokens.

    >>> Region((0, 100), (0, 64), 16).shape
    (7, 4)
    """

    queries: tuple[int, int]
    keys: tuple[int, int]
    cell: int = 1

    def __post_init__(self) -> None:
        for name, (start, stop) in (("queries", self.queries), ("keys", self.keys)):
            if not 0 <= start < stop:
                raise InputError(f"{name} ({start} to {stop}) must be at least one token")
        if self.cell < 1:
            raise InputError(f"cell ({self.cell}) must be at least 1 token wide")

    @property
    def shape(self) -> tuple[int, int]:
        """Cells down (queries) and across (keys)."""
        rows, cols = (-(-(stop - start) // self.cell) for start, stop in (self.queries, self.keys))
        return rows, cols


@dataclass(frozen=True)
class Pooled:
    """Blocks of one layer's weights. heads: which query heads, in order.

    largest: the largest weight in each cell (0-1). total: the sum of its weights. allowed: pairs of tokens in it that may
    look at each other; 0 where nothing may. strongest: query and key (token indices) of the largest weight, one of them
    where several are equal; None where it was not asked for.
    """

    region: Region
    heads: tuple[int, ...]
    largest: Float[Tensor, "n_heads rows cols"]
    total: Float[Tensor, "n_heads rows cols"]
    allowed: Int[Tensor, "rows cols"]
    strongest: Int[Tensor, "n_heads rows cols 2"] | None = None

    @property
    def mass(self) -> Float[Tensor, "n_heads rows cols"]:
        """The mean over a cell's queries of the weight that falls on its keys; whole rows of cells sum to 1."""
        start, stop = self.region.queries
        cells = torch.arange(self.region.shape[0], device=self.total.device)
        sizes = (stop - start - cells * self.region.cell).clamp(max=self.region.cell)
        return self.total / sizes[:, None]

    @property
    def mean(self) -> Float[Tensor, "n_heads rows cols"]:
        """The mean weight of the pairs that may look at each other; NaN where none may."""
        return torch.where(self.allowed > 0, self.total / self.allowed, torch.nan)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        parts = (self.largest, self.total, self.allowed, self.strongest)
        return sum(t.numel() * t.element_size() for t in parts if t is not None)


@dataclass(frozen=True)
class Visible:
    """Which keys some neighbouring queries may see: keys as [start, stop); all of them by all queries, but for the `corner`.

    corner: [start, stop) among all keys, empty where every query sees every key; mask: who may look at whom in the corner.
    """

    keys: tuple[int, int]
    corner: tuple[int, int]
    mask: Bool[Tensor, "q_len corner"]


@dataclass(frozen=True)
class Slab:
    """The weights of some neighbouring queries: heads (query heads, in order), rows as [start, stop), what they may see.

    weights (heads, queries, visible keys) are whole rows of the softmax; other keys have weight 0.
    """

    heads: tuple[int, ...]
    rows: tuple[int, int]
    visible: Visible
    weights: Float[Tensor, "n_heads q_len kv_len"]


@torch.inference_mode()
def pool(
    attention: Attention,
    p: Projections,
    region: Region | None = None,
    heads: Sequence[int] | None = None,
    strongest: bool = False,
) -> Pooled:
    """The weights of one layer, pooled: equal to pooling `attention.trace(p, …).weights`, on whatever device p is.

    region: None for the whole map token by token; heads: None for all; strongest: whether to find the strongest pair of
    each cell (half as long again). Weights are computed in float32 at least. Raises InputError for tokens or heads that are
    not there.

    >>> from headlight.core.attention import GQA
    >>> from headlight.core.cache import KVCache
    >>> from headlight.core.positions import RoPE
    >>> gqa = GQA(d_model=24, n_heads=6, head_dim=4, n_kv_heads=2)
    >>> params = {name: torch.randn(shape) for name, shape in gqa.shapes().items()}
    >>> p = gqa.project(torch.randn(100, 24), params, RoPE(dim=4), KVCache())
    >>> cells = pool(gqa, p, Region((0, 100), (0, 100), 16))
    >>> cells.largest.shape, torch.allclose(cells.mass.sum(-1), torch.ones(6, 7))
    (torch.Size([6, 7, 7]), True)
    """
    region = region or Region((0, len(p.q_pos)), (0, len(p.k_pos)))
    chosen = _check(p, region, heads)
    out = _Cells(region, chosen, p, strongest)
    for start, stop in _slabs(*region.queries, region.cell):
        for slab in slabs(attention, p, (start, stop), chosen):
            out.take(slab)
    return out.pooled(chosen)


def slabs(attention: Attention, p: Projections, rows: tuple[int, int], heads: Sequence[int]) -> Iterator[Slab]:
    """The weights of the queries `rows`, for some heads, one slab a key-value head; nothing where no key may be seen."""
    visible = _visible(attention, p, rows)
    if visible is None:
        return
    group = len(p.q) // len(p.k)
    for kv in range(len(p.k)):
        mine = tuple(head for head in heads if head // group == kv)
        if mine:
            scores = _scores(attention, p, rows, visible.keys, mine, kv)
            yield Slab(mine, rows, visible, _softmax(scores, visible))


def _visible(attention: Attention, p: Projections, rows: tuple[int, int]) -> Visible | None:
    q_pos = p.q_pos[slice(*rows)]
    if type(attention).allowed is not Attention.allowed:
        return _visible_anyhow(attention, q_pos, p.k_pos)
    if not attention.causal:
        return Visible((0, len(p.k_pos)), (0, 0), torch.ones(len(q_pos), 0, dtype=torch.bool, device=q_pos.device))
    # Keys stand in order: what the first query sees all see, what the last one does not nobody does.
    ends = torch.searchsorted(p.k_pos, torch.stack([q_pos.min(), q_pos.max()]), right=True).tolist()
    mask = attention.allowed(q_pos, p.k_pos[slice(*ends)])
    return Visible((0, ends[1]), (ends[0], ends[1]), mask) if ends[1] else None


def _visible_anyhow(
    attention: Attention, q_pos: Int[Tensor, " q_len"], k_pos: Int[Tensor, " kv_len"]
) -> Visible | None:
    mask = attention.allowed(q_pos, k_pos)
    seen = mask.any(0).nonzero()
    if not len(seen):
        return None
    low, high = int(seen[0]), int(seen[-1]) + 1
    shut = (~mask[:, low:high].all(0)).nonzero()
    corner = (low + int(shut[0]), low + int(shut[-1]) + 1) if len(shut) else (low, low)
    return Visible((low, high), corner, mask[:, slice(*corner)])


def _scores(
    attention: Attention, p: Projections, rows: tuple[int, int], keys: tuple[int, int], heads: tuple[int, ...], kv: int
) -> Float[Tensor, "n_heads q_len kv_len"]:
    q = p.q[heads[0] : heads[-1] + 1, slice(*rows)] if _neighbours(heads) else p.q[list(heads), slice(*rows)]
    scale = attention.scale * p.position.score_scale
    scores = ((q * scale).reshape(-1, q.shape[-1]) @ p.k[kv, slice(*keys)].T).view(len(heads), -1, keys[1] - keys[0])
    if not p.position.biases_scores:
        return scores
    # A bias is made for all heads at once; those of other KV heads are dropped.
    bias = scores.new_zeros(len(p.q), *scores.shape[1:])
    return scores + p.position.at_scores(bias, p.q_pos[slice(*rows)], p.k_pos[slice(*keys)])[list(heads)]


def _neighbours(heads: tuple[int, ...]) -> bool:
    return heads == tuple(range(heads[0], heads[-1] + 1))


def _softmax(scores: Float[Tensor, "n_heads q_len kv_len"], visible: Visible) -> Float[Tensor, "n_heads q_len kv_len"]:
    start, stop = (at - visible.keys[0] for at in visible.corner)
    if start < stop:
        scores[..., start:stop].masked_fill_(~visible.mask, float("-inf"))
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))
    # A query that may see nothing at all, which can only be where the corner is everything.
    blind = visible.corner == visible.keys and not bool(visible.mask.any(1).all())
    return weights.nan_to_num_(0.0) if blind else weights


def _check(p: Projections, region: Region, heads: Sequence[int] | None) -> tuple[int, ...]:
    for name, (_, stop), there in (("queries", region.queries, len(p.q_pos)), ("keys", region.keys, len(p.k_pos))):
        if stop > there:
            raise InputError(f"{name} up to {stop} were asked for; this text has {there}")
    chosen = tuple(range(len(p.q))) if heads is None else tuple(heads)
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= head < len(p.q) for head in chosen):
        raise InputError(f"heads {chosen} must be different ones of 0 to {len(p.q) - 1}")
    return chosen


def _slabs(start: int, stop: int, cell: int) -> Iterator[tuple[int, int]]:
    """Rows in slabs of whole cells, or of parts of one cell where cells are higher than a slab."""
    inner = ROWS // cell * cell or ROWS
    outer = max(inner, cell)
    for a in range(start, stop, outer):
        end = min(a + outer, stop)
        for b in range(a, end, inner):
            yield b, min(b + inner, end)


class _Cells:
    """The cells while they are filled, slab by slab."""

    def __init__(self, region: Region, heads: tuple[int, ...], p: Projections, strongest: bool) -> None:
        dtype = torch.promote_types(p.q.dtype, torch.float32)
        shape = (len(heads), *region.shape)
        self._region, self._place = region, {head: i for i, head in enumerate(heads)}
        self._largest = torch.zeros(shape, dtype=dtype, device=p.q.device)
        self._total = torch.zeros_like(self._largest)
        self._allowed = torch.zeros(region.shape, dtype=torch.int64, device=p.q.device)
        self._strongest = torch.zeros(*shape, 2, dtype=torch.int64, device=p.q.device) if strongest else None
        self._counted = -1  # the last slab of rows whose pairs were counted: they are the same for all heads

    def take(self, slab: Slab) -> None:
        """Reduces a slab to cells."""
        (first, last), cell = self._region.keys, self._region.cell
        low, high = max(first, slab.visible.keys[0]), min(last, slab.visible.keys[1])
        if low >= high:
            return
        # Whole cells from the first one touched: what lies before `low` in it has weight 0.
        ahead = (low - first) % cell
        weights = slab.weights[..., low - slab.visible.keys[0] : high - slab.visible.keys[0]]
        weights = pad(weights, (ahead, 0)) if ahead else weights
        row, col = (slab.rows[0] - self._region.queries[0]) // cell, (low - first) // cell
        rows, cols = -(-(slab.rows[1] - slab.rows[0]) // cell), -(-weights.shape[-1] // cell)
        at = (slice(row, row + rows), slice(col, col + cols))
        places = [self._place[head] for head in slab.heads]
        heads = slice(places[0], places[-1] + 1) if _neighbours(tuple(places)) else torch.tensor(places)
        self._add(weights, (heads, *at), (slab.rows[0], low - ahead))
        if self._counted != slab.rows[0]:
            self._counted = slab.rows[0]
            self._allowed[at] += _pairs(slab, (low, high), ahead, cell)

    def _add(self, weights: Tensor, at: tuple[slice | Tensor, slice, slice], origin: tuple[int, int]) -> None:
        # Rows first: neighbouring keys lie side by side in memory, and are added up many at a time.
        cell = self._region.cell
        self._total[at] += _sum(_sum(weights, -2, cell), -1, cell)
        if self._strongest is None:
            self._largest[at] = torch.maximum(self._largest[at], _max(_max(weights, -2, cell), -1, cell))
            return
        found, where = _strongest(weights, cell, origin)
        better = found > self._largest[at]
        self._strongest[at] = torch.where(better[..., None], where, self._strongest[at])
        self._largest[at] = torch.where(better, found, self._largest[at])

    def pooled(self, heads: tuple[int, ...]) -> Pooled:
        """What came together."""
        return Pooled(self._region, heads, self._largest, self._total, self._allowed, self._strongest)


def _pairs(slab: Slab, keys: tuple[int, int], ahead: int, cell: int) -> Int[Tensor, "rows cols"]:
    """How many pairs of each cell may look at each other: all, but for those that the corner shuts."""
    low, high = keys
    rows = torch.ones(slab.rows[1] - slab.rows[0], 1, dtype=torch.int64, device=slab.weights.device)
    counts = _sum(rows, -2, cell).repeat(1, high - low)
    start, stop = max(low, slab.visible.corner[0]), min(high, slab.visible.corner[1])
    if start < stop:
        shut = slice(start - slab.visible.corner[0], stop - slab.visible.corner[0])
        counts[:, start - low : stop - low] = _sum(slab.visible.mask[:, shut].long(), -2, cell)
    return _sum(pad(counts, (ahead, 0)), -1, cell)


def _blocks(t: Tensor, dim: int, cell: int) -> list[Tensor]:
    """t with an axis parted into cells along `dim`, which becomes two; the smaller last cell apart."""
    size = t.shape[dim]
    whole = size // cell * cell
    parts = [t.narrow(dim, 0, whole).unflatten(dim, (-1, cell))] if whole else []
    return parts + ([t.narrow(dim, whole, size - whole).unflatten(dim, (1, -1))] if whole < size else [])


def _max(t: Tensor, dim: int, cell: int) -> Tensor:
    return t if cell == 1 else torch.cat([block.amax(dim) for block in _blocks(t, dim, cell)], dim)


def _sum(t: Tensor, dim: int, cell: int) -> Tensor:
    return t if cell == 1 else torch.cat([block.sum(dim) for block in _blocks(t, dim, cell)], dim)


def _strongest(weights: Tensor, cell: int, origin: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The largest weight of each cell, and its query and key."""
    in_column, query = _argmax(weights, -2, cell)
    largest, key = _argmax(in_column, -1, cell)
    query = query.gather(-1, key) + origin[0]
    return largest, torch.stack([query, key + origin[1]], dim=-1)


def _argmax(t: Tensor, dim: int, cell: int) -> tuple[Tensor, Tensor]:
    """The largest of each cell along an axis, and its place on that axis."""
    found = [block.max(dim) for block in _blocks(t, dim, cell)]
    values, places = (torch.cat(parts, dim) for parts in zip(*found, strict=True))
    starts = torch.arange(values.shape[dim], device=t.device) * cell
    return values, places + (starts if dim == -1 else starts[:, None])
