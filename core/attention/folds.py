"""Folding: a matrix on what all heads of a group share, undone in the projections before and after it.

Where a key becomes k = A s, q · k = (Aᵀ q) · s, so that A goes to the rows of q_proj; where a value becomes v = B s, B goes to
the columns of o_proj. A fold holds for as many neighbouring query heads as there are heads a fold.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from headlight.core.attention.base import Attention, Params

Folds = Float[Tensor, "folds head_dim head_dim"]


def fold_rows(weight: Float[Tensor, "n_heads_dim in_dim"], folds: Folds) -> Float[Tensor, "n_heads_dim in_dim"]:
    """Each head's rows through its fold: F W_h."""
    heads = weight.unflatten(0, (len(folds), -1, folds.shape[-1]))
    return (folds[:, None] @ heads).flatten(0, 2)


def fold_columns(weight: Float[Tensor, "out_dim n_heads_dim"], folds: Folds) -> Float[Tensor, "out_dim n_heads_dim"]:
    """Each head's columns through its fold: W_h F."""
    return fold_rows(weight.T, folds.mT).T


def repeat_heads(params: Params, source: Attention, n_heads: int) -> dict[str, Tensor]:
    """Parameters with copies of the key and value heads, `n_heads` of each in all; every other tensor is the one given.

    Exact: each query head reads what it read (Ainslie et al. 2023, arXiv 2305.13245, section 2.2, the other way round).
    """
    made = dict(params)
    for name in [name for name in made if name.startswith(("k_proj", "v_proj"))]:
        heads = made[name].unflatten(0, (source.n_kv_heads, source.head_dim))
        made[name] = heads.repeat_interleave(n_heads // source.n_kv_heads, 0).flatten(0, 1)
    return made
