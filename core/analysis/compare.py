"""Comparing what heads of different models look at in one text: on common parts, by Jensen-Shannon distance.

Models with one tokenizer are compared token by token. Others cut the text differently and are compared on the smallest
parts of the text that are whole tokens for all of them: a row is the mean over the tokens of the part that looks, a cell
the sum over those of the part looked at. What falls on tokens that no part holds (special ones such as [SEP], bare blanks)
counts as one more outcome, so that each row remains a distribution.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headlight.core.errors import InputError
from headlight.core.types import Run, Tokens

Members = Bool[Tensor, "parts seq"]
# Rows that sum to 1 within this are whole; less is float32's rounding, and would be a distance of its own.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class CommonView:
    """A run, seen on the parts of the text that it has in common with others.

    members: which tokens make up each part; None where the parts are the tokens themselves.
    """

    run: Run
    members: Members | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Layers and heads a layer."""
        return len(self.run.layers), self.run.layers.projections(0).q.shape[0]

    def weights(self, layer: int) -> Float[Tensor, "n_heads parts parts"]:
        """Attention weights between parts, 0 to 1, in float64; rows sum to 1 at most."""
        rows = self.run.layers.rows(layer, slice(None)).cpu().double()
        if self.members is None:
            return rows
        parts, sizes = len(self.members), self.members.sum(1)
        # Where each token goes; what is in no part goes to one more row and column, which are dropped.
        goes = torch.where(self.members.any(0), self.members.int().argmax(0), parts)
        columns = rows.new_zeros(len(rows), len(goes), parts + 1).index_add_(2, goes, rows)[..., :parts]
        summed = rows.new_zeros(len(rows), parts + 1, parts).index_add_(1, goes, columns)[:, :parts]
        return summed / sizes[:, None]

    def mask(self, layer: int) -> Bool[Tensor, "parts parts"]:
        """True where some token of a part may look at some token of another."""
        mask = self.run.layers[layer].mask.cpu()
        if self.members is None:
            return mask
        member = self.members.double()
        return member @ mask.double() @ member.T > 0

    def outcomes(self, layer: int) -> Float[Tensor, "n_heads parts columns"]:
        """`weights` with one more column, the weight on everything that is in no part: each row sums to 1."""
        weights = self.weights(layer)
        rest = 1 - weights.sum(-1, keepdim=True)
        return torch.cat([weights, torch.where(rest > _ROUNDING, rest, 0.0)], dim=-1)


@dataclass(frozen=True)
class Match:
    """The head of a model that is nearest to a head of another; distance 0 to 1, see `jensen_shannon`."""

    layer: int
    head: int
    distance: float


def jensen_shannon(p: Float[Tensor, "... columns"], q: Float[Tensor, "... columns"]) -> Tensor:
    """The Jensen-Shannon distance of distributions over the last axis: 0 (the same) to 1 (nothing in common).

    The square root of the divergence of Lin 1991 (IEEE Trans. Inf. Theory 37, eq. 4.1), to base 2, which makes it a metric
    (Endres and Schindelin 2003, IEEE Trans. Inf. Theory 49). Leading axes are broadcast.

    >>> p, q = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.5, 0.5], dtype=torch.float64)
    >>> [round(float(jensen_shannon(p, other)), 4) for other in (p, q, p.flip(0))]
    [0.0, 0.5579, 1.0]
    """
    divergence = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    return divergence.clamp(0, 1).sqrt()


def _entropy(p: Float[Tensor, "... columns"]) -> Tensor:
    return -torch.special.xlogy(p, p).sum(-1) / torch.log(torch.tensor(2.0, dtype=p.dtype))


@torch.inference_mode()
def read_alike(runs: Sequence[Run]) -> tuple[tuple[str, ...], list[CommonView]]:
    """Runs of one text made comparable: the names of the parts, and a reading for each run.

    Raises InputError for runs of different texts and where no part of the text is whole tokens for all.
    """
    first = runs[0].tokens
    if any(each.tokens.text != first.text for each in runs):
        raise InputError("only runs of the same text can be compared")
    if all(_same_tokens(each.tokens, first) for each in runs):
        return first.pieces, [CommonView(each) for each in runs]
    names, members = common_parts([each.tokens for each in runs])
    return names, [CommonView(each, member) for each, member in zip(runs, members, strict=True)]


def _same_tokens(a: Tokens, b: Tokens) -> bool:
    return (a.spans, a.pieces, a.special) == (b.spans, b.pieces, b.special)


def common_parts(readings: Sequence[Tokens]) -> tuple[tuple[str, ...], list[Members]]:
    """The smallest parts of a text that are whole tokens in every reading of it, and which tokens make up each.

    Blanks do not count, since some tokenizers drop them and others put them at a token's start; special and blank tokens
    belong to no part. Raises InputError if there is no such part.
    """
    text = readings[0].text
    solid = [i for i, c in enumerate(text) if not c.isspace()]
    spans = [_solid_spans(tokens, text) for tokens in readings]
    flat = [span for each in spans for span in each]
    inside = {cut for start, end in flat for cut in range(start + 1, end)}
    cuts = sorted({cut for span in flat for cut in span} - inside)
    found = [_members(each, cuts) for each in spans]
    parts = sorted(set.intersection(*(set(each) for each in found)))
    if not parts:
        raise InputError("these models have no part of this text in common")
    names = tuple(text[solid[cuts[part]] : solid[cuts[part + 1] - 1] + 1] for part in parts)
    return names, [_matrix([each[part] for part in parts], len(its)) for each, its in zip(found, spans, strict=True)]


def _solid_spans(tokens: Tokens, text: str) -> list[tuple[int, int]]:
    """Each token's span, counted in characters that are no blanks."""
    before = [0]
    for c in text:
        before.append(before[-1] + (not c.isspace()))
    return [(before[start], before[end]) for start, end in tokens.spans]


def _members(spans: list[tuple[int, int]], cuts: list[int]) -> dict[int, list[int]]:
    """Which tokens lie between a cut and the next, by the number of the cut."""
    found: dict[int, list[int]] = {}
    for token, (start, end) in enumerate(spans):
        if start < end:
            found.setdefault(bisect_right(cuts, start) - 1, []).append(token)
    return found


def _matrix(members: list[list[int]], length: int) -> Members:
    matrix = torch.zeros(len(members), length, dtype=torch.bool)
    for part, tokens in enumerate(members):
        matrix[part, tokens] = True
    return matrix


@torch.inference_mode()
def same_heads(first: CommonView, other: CommonView) -> Float[Tensor, "n_layers n_heads"]:
    """The distance of each head of `first` to the one of `other` in the same layer and place, 0 to 1, mean over the parts
    that look; raises InputError where layers or heads differ in number."""
    if first.shape != other.shape:
        raise InputError(f"{first.run.model} has {_counted(first)}, {other.run.model} has {_counted(other)}")
    layers = range(first.shape[0])
    return torch.stack([jensen_shannon(first.outcomes(i), other.outcomes(i)).mean(-1) for i in layers])


def _counted(reading: CommonView) -> str:
    return f"{reading.shape[0]} layers of {reading.shape[1]} heads"


@torch.inference_mode()
def distance(first: CommonView, place: tuple[int, int], other: CommonView, its_place: tuple[int, int]) -> float:
    """The distance of two heads, each (layer, head), 0 to 1, mean over the parts that look."""
    rows = first.outcomes(place[0])[place[1]], other.outcomes(its_place[0])[its_place[1]]
    return float(jensen_shannon(*rows).mean())


@torch.inference_mode()
def best_match(first: CommonView, place: tuple[int, int], other: CommonView) -> Match:
    """The head of `other` with the smallest distance to the head of `first` at (layer, head)."""
    wanted = first.outcomes(place[0])[place[1]]
    return _nearest(wanted, [other.outcomes(layer) for layer in range(other.shape[0])])


@torch.inference_mode()
def best_matches(first: CommonView, other: CommonView) -> list[list[Match]]:
    """For every head of every layer of `first` its best match in `other`; costs `pairs(first, other)` cells."""
    maps = [other.outcomes(layer) for layer in range(other.shape[0])]
    return [[_nearest(wanted, maps) for wanted in first.outcomes(layer)] for layer in range(first.shape[0])]


def pairs(first: CommonView, other: CommonView) -> int:
    """Cells that comparing every head with every other takes."""
    rows = len(first.run.tokens) if first.members is None else len(first.members)
    heads = first.shape[0] * first.shape[1] * other.shape[0] * other.shape[1]
    return heads * rows * (rows + 1)


def _nearest(wanted: Tensor, maps: list[Tensor]) -> Match:
    distances = torch.stack([jensen_shannon(wanted, each).mean(-1) for each in maps])
    best = int(distances.argmin())
    n_heads = distances.shape[1]
    return Match(best // n_heads, best % n_heads, float(distances.flatten()[best]))
