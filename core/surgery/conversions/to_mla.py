"""A decoder with RoPE as DeepSeek's MLA: one rotated key for all heads, and a latent with its norm for all the rest.

As TransMLA (Meng et al. 2025, arXiv 2502.07864) and MHA2MLA (Ji et al. 2025, arXiv 2502.14837), with two things of our own:
the rotated parts of all KV heads are merged as `alignment` does, and one dimension of the latent is a constant. MLA divides
the latent by its root mean square, which a latent by SVD was never made for: tokens whose values are nearly 0 (attention
sinks) would be blown up. Beside a constant that is larger than all other dimensions together, the norm divides all tokens
by almost the same number.

The pairs that stay rotated are the fastest. With P of them of heads of width d, RoPE of width 2P and base theta^(2P / d) has
exactly their frequencies, theta^(-2j / d) for j < P, so that what comes out is a plain MLA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from headlight.core.attention import GQA, MLA
from headlight.core.attention.folds import fold_rows
from headlight.core.errors import InputError
from headlight.core.model import Model
from headlight.core.positions import RoPE
from headlight.core.surgery.alignment import merge_rotated, per_kv_head, rows_of, use_of_keys, use_of_values
from headlight.core.surgery.base import TrainedLayer
from headlight.core.surgery.low_rank import as_trained, square_root
from headlight.core.surgery.rotary import pairs_of
from headlight.core.surgery.whole import Moments, layer_of

STEADY = 6.0  # the constant dimension beside the root of the summed squares of all others


@dataclass(frozen=True, eq=False)
class AsMLA:
    """A layer as MLA: its parameters without q_proj, and query folds (n_kv_heads, head_dim, head_dim) that make q_proj."""

    params: dict[str, Tensor]
    query_folds: Tensor


def sizes(source: GQA, kv_lora_rank: int, rotary: int) -> MLA:
    """MLA with as many heads of the same width, `rotary` dimensions of each rotated; it has biases for its constant."""
    return MLA(
        source.d_model, source.n_heads, causal=source.causal, bias=True, kv_lora_rank=kv_lora_rank,
        qk_nope_head_dim=source.head_dim - rotary, qk_rope_head_dim=rotary, v_head_dim=source.head_dim,
    )  # fmt: skip


def encoding(position: RoPE, rotary: int) -> RoPE:
    """RoPE of the `rotary` fastest dimensions alone, at the frequencies that they had; pairs stand as DeepSeek's do."""
    return RoPE(rotary, position.theta ** (rotary / position.dim), "interleaved")


def mla_model(model: Model, moments: Moments, kv_lora_rank: int, rotary: int) -> Model:
    """The model with every layer as MLA; raises InputError for one without key and value heads or without plain RoPE."""
    return replace(
        model, title=f"{model.title}, as MLA", attention=sizes(layer_of(model, 0).attention, kv_lora_rank, rotary),
        position=encoding(rope_of(layer_of(model, 0)), rotary), layers=tuple(_layers(model, moments, kv_lora_rank, rotary)),
    )  # fmt: skip


def _layers(model: Model, moments: Moments, kv_lora_rank: int, rotary: int) -> Sequence[dict[str, Tensor]]:
    found = []
    for index, params in enumerate(model.layers):
        layer = layer_of(model, index, moments)
        made = as_mla(layer, kv_lora_rank, rotary)
        folded = fold_rows(params["q_proj.weight"].cpu().double(), made.query_folds)
        rest = {name: t for name, t in params.items() if name not in layer.attention.shapes()}
        found.append(rest | made.params | {"q_proj.weight": as_trained(folded, layer)})
    return found


def as_mla(layer: TrainedLayer, kv_lora_rank: int, rotary: int) -> AsMLA:
    """One layer, in the precision of its weights."""
    fast, slow = _dims(rope_of(layer), rotary)
    merged = merge_rotated(*_keys_and_queries(layer), rope_of(layer), layer.measured_with_one(), 1)
    down, up_k, up_v = _latent(layer, slow, kv_lora_rank - 1)
    bias, norm = _steady(down, layer)
    shared = merged.shared[0, fast, :-1]
    up = pad(torch.cat([up_k, up_v], dim=1), (0, 1)).flatten(0, 1)
    params = {
        "kv_a_proj_with_mqa.weight": torch.cat([pad(down, (0, 0, 0, 1)), shared]),
        "kv_a_proj_with_mqa.bias": pad(bias, (0, rotary)),
        "kv_a_layernorm.weight": norm,
        "kv_b_proj.weight": up,
        "o_proj.weight": layer.params["o_proj.weight"],
        "o_proj.bias": torch.zeros(layer.attention.d_model),
    }
    return AsMLA({name: as_trained(t, layer) for name, t in params.items()}, _query_folds(merged.folds, fast, slow))


def rope_of(layer: TrainedLayer) -> RoPE:
    """The layer's encoding; raises InputError where it is not RoPE over whole heads."""
    if not isinstance(layer.position, RoPE) or layer.position.dim != layer.attention.head_dim:
        raise InputError("only a model whose whole heads are rotated (RoPE) can be decoupled into MLA")
    return layer.position


def _dims(rope: RoPE, rotary: int) -> tuple[Tensor, Tensor]:
    """The dimensions of a head that stay rotated, pair by pair, and those that do not."""
    pairs = pairs_of(rope)
    return pairs[: rotary // 2].flatten(), pairs[rotary // 2 :].flatten()


def _keys_and_queries(layer: TrainedLayer) -> tuple[Tensor, Tensor]:
    source = layer.attention
    queries = per_kv_head(rows_of(layer.params, source, "q_proj"), source)
    return rows_of(layer.params, source, "k_proj"), queries


def _latent(layer: TrainedLayer, slow: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Down (rank, d_model), and up for the unrotated keys and the values of each query head (n_heads, rows, rank)."""
    source, moment, (keys, queries) = layer.attention, layer.measured_with_one(), _keys_and_queries(layer)
    out = layer.params["o_proj.weight"].cpu().double()
    uses = use_of_keys(queries[:, :, slow], moment), use_of_values(out, source)
    rows = keys[:, slow, :-1], rows_of(layer.params, source, "v_proj")[..., :-1]
    root = square_root(layer.measured())
    # Errors of keys and of values have different units; each kind is weighed by its own total.
    sized = [use / torch.linalg.vector_norm(use @ part @ root) for use, part in zip(uses, rows, strict=True)]
    stacked = torch.cat([(use @ part).flatten(0, 1) for use, part in zip(sized, rows, strict=True)])
    up = torch.linalg.svd(stacked @ root, full_matrices=False).U[:, :rank]
    split = up.split([part.shape[0] * part.shape[1] for part in rows])
    parts = [torch.linalg.solve(use, each.unflatten(0, use.shape[:2])) for use, each in zip(sized, split, strict=True)]
    group = source.n_heads // source.n_kv_heads
    size = torch.linalg.vector_norm(parts[1]) / (rank * source.n_kv_heads) ** 0.5
    up_k, up_v = (part.repeat_interleave(group, 0) / size for part in parts)
    return up.T @ stacked * size, up_k, up_v


def _steady(down: Tensor, layer: TrainedLayer) -> tuple[Tensor, Tensor]:
    """The latent's bias, a constant in its last dimension, and the norm's weight, which undoes the division in the mean."""
    summed = ((down @ layer.measured()) * down).sum()
    constant = STEADY * summed.sqrt()
    rank = len(down) + 1
    mean_square = (summed + constant**2) / rank
    return pad(constant[None], (rank - 1, 0)), mean_square.sqrt().expand(rank)


def _query_folds(folds: Tensor, fast: Tensor, slow: Tensor) -> Tensor:
    """Rows of the result: unrotated dimensions as they were, then the rotated ones through their heads' folds."""
    plain = torch.eye(folds.shape[-1], dtype=folds.dtype)[slow].expand(len(folds), -1, -1)
    return torch.cat([plain, folds[:, fast]], dim=1)
