"""RoPE at work on one query and one key: the pairs of dimensions as arrows, the score as a function of distance.

Su et al. 2021 (RoFormer, arXiv 2104.09864): section 3.2.2 for the rotation, section 3.4.3 for the long-term decay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.errors import InputError
from headlight.core.positions.rope import Layout, RoPE, rotate
from headlight.core.types import Run


@dataclass(frozen=True, eq=False)
class QueryKey:
    """The rotary dimensions of one head's query and key before they are turned, in float64.

    rope: what turns them; scale: the factor on q·k; rest: what dimensions without position add to the score (MLA's, and
    those beyond a partial RoPE), already scaled; q_pos, k_pos: where the two stood.
    """

    q: Float[Tensor, " rotary_dim"]
    k: Float[Tensor, " rotary_dim"]
    rope: RoPE
    scale: float = 1.0
    rest: float = 0.0
    q_pos: int = 0
    k_pos: int = 0

    def turned(self, q_pos: int, k_pos: int) -> tuple[Float[Tensor, "pairs 2"], Float[Tensor, "pairs 2"]]:
        """Query and key at two positions, each pair of dimensions as the tip (x, y) of an arrow."""
        q, k = _at(self.q, self.rope, torch.tensor([q_pos])), _at(self.k, self.rope, torch.tensor([k_pos]))
        return as_pairs(q, self.rope.layout)[0], as_pairs(k, self.rope.layout)[0]

    def by_pair(self, q_pos: int, k_pos: int) -> Float[Tensor, " pairs"]:
        """What each pair adds to the score of a query at q_pos for a key at k_pos."""
        q, k = self.turned(q_pos, k_pos)
        return (q * k).sum(-1) * self.scale

    def score(self, q_pos: int, k_pos: int) -> float:
        """The whole score before the softmax."""
        return float(self.by_pair(q_pos, k_pos).sum()) + self.rest

    def by_distance(self, reach: int) -> Float[Tensor, "seq pairs"]:
        """What each pair adds to the score at distances 0 … reach - 1: the query that far after the key."""
        q = as_pairs(_at(self.q, self.rope, torch.arange(reach)), self.rope.layout)
        k = as_pairs(_at(self.k, self.rope, torch.tensor([0])), self.rope.layout)
        return (q * k).sum(-1) * self.scale

    def bound(self, reach: int) -> Float[Tensor, " seq"]:
        """What the size of the rotary part of the score cannot exceed at distances 0 … reach - 1 (section 3.4.3).

        With h_j = q_j k_j* of pair j as complex numbers and S_j the sum of the first j factors e^(i distance theta_j), Abel
        summation gives |score| <= max_j |h_(j+1) - h_j| · (|S_1| + … + |S_pairs|); the last h is followed by 0.
        """
        q, k = (torch.view_as_complex(as_pairs(t[None], self.rope.layout)[0].contiguous()) for t in (self.q, self.k))
        angles = self.rope.angles(torch.arange(reach), torch.float64)
        sums = torch.polar(torch.ones_like(angles), angles).cumsum(-1).abs().sum(-1)
        steps = torch.cat([q * k.conj(), torch.zeros(1, dtype=q.dtype)]).diff().abs()
        return sums * steps.max() * (self.scale * self.rope.scaling.magnitude**2)

    def with_theta(self, theta: float) -> QueryKey:
        """The same numbers, turned by frequencies of another base."""
        return replace(self, rope=replace(self.rope, theta=theta))

    def read_as(self, layout: Layout) -> QueryKey:
        """The same numbers in the same order, other dimensions taken for pairs: the mistake of a wrong loader."""
        return replace(self, rope=replace(self.rope, layout=layout))

    def permuted_to(self, layout: Layout) -> QueryKey:
        """The same pairs stored in the other layout, which is what a right converter does; every score stays."""
        q, k = (from_pairs(as_pairs(t[None], self.rope.layout), layout)[0] for t in (self.q, self.k))
        return replace(self, q=q, k=k, rope=replace(self.rope, layout=layout))


def as_pairs(t: Float[Tensor, "seq rotary_dim"], layout: Layout) -> Float[Tensor, "seq pairs 2"]:
    """The dimensions two by two, as the layout pairs them."""
    return t.unflatten(-1, (-1, 2)) if layout == "interleaved" else torch.stack(t.chunk(2, dim=-1), dim=-1)


def from_pairs(pairs: Float[Tensor, "seq pairs 2"], layout: Layout) -> Float[Tensor, "seq rotary_dim"]:
    """Back to a row of dimensions."""
    return (pairs if layout == "interleaved" else pairs.transpose(-1, -2)).flatten(-2)


def pair_numbers(dim: int, layout: Layout) -> Int[Tensor, " rotary_dim"]:
    """For each dimension the number of its pair.

    >>> pair_numbers(6, "half").tolist(), pair_numbers(6, "interleaved").tolist()
    ([0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 2, 2])
    """
    return from_pairs(torch.arange(dim // 2).double()[None, :, None].expand(1, -1, 2), layout)[0].long()


def unit(dim: int = 64, theta: float = 10_000.0) -> QueryKey:
    """A query and a key of length 1 that are alike, every pair pointing right: the score is the mean of cos(distance f_j)."""
    arrows = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(1, dim // 2, 2) / (dim / 2) ** 0.5
    vector = from_pairs(arrows, "half")[0]
    return QueryKey(vector, vector, RoPE(dim, theta))


def of_run(run: Run, layer: int, head: int, query: int, key: int) -> QueryKey:
    """The query and key of two tokens in one head, turned back to where they have no position.

    They are rotated back by the very angles that turned them, then kept in float64. Raises InputError for a model without
    RoPE.
    """
    p = run.layers.projections(layer)
    if not isinstance(p.position, RoPE):
        raise InputError(f"{run.model} does not rotate its queries and keys")
    group = p.q.shape[0] // p.k.shape[0]
    q, k = (t.detach().cpu().double() for t in (p.q[head, query], p.k[head // group, key]))
    width, rope = len(q), p.position
    # MLA's rotary dimensions are a head's last; RoPE on a part of a head turns its first.
    rotary = slice(width - rope.dim, width) if "k_rope" in p.cache.tensors else slice(0, rope.dim)
    scale = width**-0.5 * rope.score_scale
    back_q, back_k = _back(q[rotary], rope, query, p.q.dtype), _back(k[rotary], rope, key, p.k.dtype)
    rest = float(q @ k - q[rotary] @ k[rotary]) * scale
    return QueryKey(back_q, back_k, rope, scale, rest, q_pos=query, k_pos=key)


def _at(t: Float[Tensor, " rotary_dim"], rope: RoPE, pos: Int[Tensor, " seq"]) -> Float[Tensor, "seq rotary_dim"]:
    return rope.at_qk(t.expand(1, len(pos), -1), pos)[0]


def _back(t: Float[Tensor, " rotary_dim"], rope: RoPE, pos: int, dtype: torch.dtype) -> Float[Tensor, " rotary_dim"]:
    angles = rope.angles(torch.tensor([pos]), dtype).double()
    return rotate(t[None, None], -angles, rope.layout)[0, 0] / rope.scaling.magnitude
