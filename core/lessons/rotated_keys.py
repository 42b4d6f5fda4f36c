"""Why keys that are turned cannot be absorbed: between a query's input and a latent there would have to be one matrix.

Without positions the score of a head is h_tᵀ A c_u with one A = W_Qᵀ W^UK for all tokens (MLA's absorption, DeepSeek-V2, arXiv
2405.04434, section 2.1.2). With RoPE between the two it is h_tᵀ A_Δ c_u, A_Δ = W_Qᵀ R_Δ W^UK: another matrix for every distance
Δ = u - t, and A_0 is right for a token's look at itself alone (its section 2.1.3 gives this as the reason for decoupling).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.attention import Attention
from headlight.core.attention.base import Params
from headlight.core.errors import InputError
from headlight.core.positions.base import Position


@torch.inference_mode()
def how_far(
    attention: Attention, params: Params, position: Position, head: int, distances: Sequence[int]
) -> Float[Tensor, " distances"]:
    """|A_Δ - A_0| / |A_0| (Frobenius) of one query head for several distances, in tokens back; all 0 would be absorbable."""
    q = params["q_proj.weight"].cpu().double().unflatten(0, (attention.n_heads, -1))[head]
    up = params["kv_b_proj.weight"].cpu().double().unflatten(0, (attention.n_kv_heads, -1))
    k = up[head // (attention.n_heads // attention.n_kv_heads), : attention.head_dim]
    queries, keys = q @ q.T, k @ k.T
    return torch.stack(
        [_size(_turn(position, -d, q) - _turn(position, 0, q), queries, keys) for d in distances]
    ) / _size(_turn(position, 0, q), queries, keys)


def _turn(position: Position, distance: int, like: Float[Tensor, "head_dim d_model"]) -> Float[Tensor, "width width"]:
    """R_Δ, from the encoding itself: what it makes of each unit vector."""
    width = len(like)
    units = torch.eye(width, dtype=like.dtype, device=like.device)[None]
    return position.at_qk(units, torch.full((width,), distance, device=like.device))[0].T


def _size(middle: Tensor, queries: Tensor, keys: Tensor) -> Float[Tensor, ""]:
    """The Frobenius norm of Qᵀ M K from the Gram matrices of Q and K."""
    return (middle.T @ queries @ middle * keys).sum().clamp(min=0).sqrt()


def multiplications(attention: Attention) -> dict[str, int]:
    """Multiplications a remembered token that one decoding step takes in one layer, for scores and sums of values.

    "expanded": keys and values are made from the latent first; "absorbed": heads attend in latent space, if they can. Raises
    InputError for an attention that keeps no latent.

    >>> from headlight.core.attention import Latent
    >>> multiplications(Latent(576, 9, 64, n_kv_heads=3, kv_lora_rank=192))
    {'expanded': 74880, 'absorbed': 3456}
    """
    latent, rotated = (attention.cache_row().part(kind) for kind in ("latent", "rotated"))
    if latent is None:
        raise InputError(f"{type(attention).__name__} keeps no latent to expand")
    beside = rotated.width if rotated else 0
    made = attention.head_dim - beside + attention.v_head_dim  # a KV head's key, but for what is rotated, and its value
    return {
        "expanded": latent.width * attention.n_kv_heads * made
        + attention.n_heads * (attention.head_dim + attention.v_head_dim),
        "absorbed": attention.n_heads * (2 * latent.width + beside),
    }
