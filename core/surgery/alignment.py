"""The mathematics of merging key and value heads that were never trained to agree.

Before heads are merged they may be turned into each other, as far as the attention does not notice: a matrix on a head's
keys whose inverse goes to its queries (its *fold*), and one on its values whose inverse goes to the output projection
(Jin et al. 2024, arXiv 2412.20677, align heads by orthogonal ones). Here nothing is turned first; the best shared head and
all folds come together, from one SVD:

    keys, with RoPE     k_h,p ≈ a_h,p s_p       p: a pair of dimensions that turn together, read as one complex number;
                        q'_h,p = conj(a_h,p) q_h,p   a_h,p: any complex number, since it commutes with the rotation
    keys, without       k_h ≈ A_h s,  q'_h = A_hᵀ q_h           A_h: any matrix
    values              v_h ≈ B_h s,  W_O,h' = W_O,h B_h         B_h: any matrix

Errors are weighed by what the layer reads (the second moment of [h; 1], so that biases are columns like others), keys' also
by how long the queries that read them are, values' by what the output projection makes of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from headlight.core.attention import GQA
from headlight.core.attention.base import Params
from headlight.core.attention.folds import Folds
from headlight.core.positions import RoPE
from headlight.core.surgery.low_rank import FLOOR, square_root
from headlight.core.surgery.rotary import pairs_of

Rows = Float[Tensor, "heads head_dim d_model_1"]


@dataclass(frozen=True, eq=False)
class Merge:
    """Groups of heads made one: the rows of the shared heads, biases as last column, and each old head's fold."""

    shared: Float[Tensor, "groups head_dim d_model_1"]
    folds: Folds


def rows_of(params: Params, source: GQA, name: str) -> Rows:
    """Weights and bias of a projection's heads in float64 on the CPU, the bias (or 0) as one more column."""
    weight = params[f"{name}.weight"].cpu().double()
    bias = params.get(f"{name}.bias", torch.zeros(len(weight), dtype=weight.dtype)).cpu().double()
    return torch.cat([weight, bias[:, None]], dim=1).unflatten(0, (-1, source.head_dim))


def per_kv_head(t: Float[Tensor, "n_heads ..."], source: GQA) -> Float[Tensor, "n_kv_heads group ..."]:
    """The query heads that read each KV head."""
    return t.unflatten(0, (source.n_kv_heads, -1))


def centred(moment: Float[Tensor, "d_model_1 d_model_1"]) -> Float[Tensor, "d_model_1 d_model_1"]:
    """The covariance: the second moment of [h; 1] without its mean."""
    return moment - torch.outer(moment[-1], moment[-1])


def merge_rotated(keys: Rows, queries: Tensor, rope: RoPE, moment: Tensor, groups: int) -> Merge:
    """Keys that RoPE turns, each pair on its own; queries (n_kv_heads, group, head_dim, d_model_1).

    Of one pair, the g rows of a group weighed by use, diag(w) K S, are nearest to u (uᴴ diag(w) K) S, u the first left singular
    vector: s = uᴴ diag(w) K and a = u / w.
    """
    pairs = pairs_of(rope)
    complex_keys, root = as_complex(keys, pairs), square_root(moment).to(torch.complex128)
    use = (as_complex(queries, pairs) @ root).abs().square().sum((1, -1)).sqrt()
    grouped, w = (t.unflatten(0, (groups, -1)).movedim(1, 2) for t in (complex_keys, _at_least(use)))
    weighed = w[..., None] * grouped  # groups, pairs, group, d_model_1
    u = _first_direction(weighed @ root)
    size = torch.linalg.vector_norm(u / w, dim=-1) / u.shape[-1] ** 0.5  # queries keep their length in the mean
    shared = (u.conj()[..., None, :] @ weighed)[..., 0, :] * size[..., None]
    factors = (u / w / size[..., None]).movedim(2, 1).flatten(0, 1)
    return Merge(from_complex(shared, pairs), _as_folds(factors, pairs))


def merge_plain(rows: Rows, uses: Folds, moment: Tensor, groups: int) -> Merge:
    """Keys without RoPE, or values. uses: for each head G with Gᵀ G what an error of it does, E[q qᵀ] or W_Oᵀ W_O.

    The stacked rows of a group, G K S, are nearest to U Uᵀ G K S, U the first left singular vectors: s = Uᵀ G K and A = G⁻¹ U.
    """
    width = rows.shape[1]
    weighed = (uses @ rows).unflatten(0, (groups, -1)).flatten(1, 2)
    up = torch.linalg.svd(weighed @ square_root(moment), full_matrices=False).U[..., :width]
    folds = torch.linalg.solve(uses, up.unflatten(1, (-1, width)).flatten(0, 1))
    size = folds.square().sum((1, 2)).unflatten(0, (groups, -1)).mean(1).div(width).sqrt()
    shared = up.mT @ weighed * size[:, None, None]
    return Merge(shared, folds / size.repeat_interleave(len(rows) // groups)[:, None, None])


def use_of_keys(queries: Float[Tensor, "n_kv_heads group head_dim d_model_1"], moment: Tensor) -> Folds:
    """The root of E[q qᵀ], summed over the query heads that read a KV head."""
    flat = queries.movedim(1, 2).flatten(2)
    seen = (queries @ moment).movedim(1, 2).flatten(2)
    return _roots(seen @ flat.mT)


def use_of_values(out: Float[Tensor, "d_model n_heads_dim"], source: GQA) -> Folds:
    """The root of W_Oᵀ W_O, summed over the query heads that read a KV head."""
    columns = per_kv_head(out.T.unflatten(0, (source.n_heads, -1)), source).movedim(1, 2).flatten(2)
    return _roots(columns @ columns.mT)


def as_complex(
    rows: Float[Tensor, "*heads head_dim columns"], pairs: Tensor
) -> Complex[Tensor, "*heads pairs columns"]:
    """Each pair of rows that turn together as one complex row."""
    return torch.complex(rows[..., pairs[:, 0], :], rows[..., pairs[:, 1], :])


def from_complex(
    rows: Complex[Tensor, "*heads pairs columns"], pairs: Tensor
) -> Float[Tensor, "*heads head_dim columns"]:
    """The inverse of `as_complex`."""
    both = torch.cat([rows.real, rows.imag], dim=-2)
    return both[..., pairs.T.flatten().argsort(), :]


def _as_folds(factors: Complex[Tensor, "n_kv_heads pairs"], pairs: Tensor) -> Folds:
    """conj(a) q of each pair as a matrix on q: (re + i im) -> (a_r re + a_i im) + i (a_r im - a_i re)."""
    size = pairs.numel()
    folds = factors.real.new_zeros(len(factors), size, size)
    first, second = pairs.T
    folds[:, first, first] = folds[:, second, second] = factors.real
    folds[:, first, second], folds[:, second, first] = factors.imag, -factors.imag
    return folds


def _first_direction(t: Complex[Tensor, "*lead group columns"]) -> Complex[Tensor, "*lead group"]:
    return torch.linalg.eigh(t @ t.mH).eigenvectors[..., -1]


def _roots(moments: Folds) -> Folds:
    # Symmetric, and never singular: what nothing reads still counts a little.
    values, vectors = torch.linalg.eigh(moments)
    least = FLOOR * values.mean(-1, keepdim=True)
    return vectors * values.clamp(min=least).sqrt()[:, None] @ vectors.mT


def _at_least(use: Tensor) -> Tensor:
    return use.clamp(min=FLOOR * float(use.mean()))
