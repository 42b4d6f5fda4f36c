"""What is in MLA's latent: principal components of c^KV over a fixed text, and what each carries of the keys and values.

The latent's own dimensions are correlated, so no share of variance belongs to one of them alone. Principal components
(Pearson 1901, Hotelling 1933) are the latent turned so that its dimensions are uncorrelated: with mean m and covariance
U diag(λ) U^T, the activation a_j = (c - m)·u_j has variance λ_j. Keys without position are k^C = W^UK c, so component j
adds a_j W^UK u_j to them, of variance λ_j |W^UK u_j|², and these add up to the variance of k^C (the sum over its
dimensions). Values: the same with W^UV. What the first r components carry is thus what remains of the variance of keys and
values if only they were kept, next to the mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.attention.base import Params
from headlight.core.attention.mla import MLA, mla_of
from headlight.core.checkpoints import sibling
from headlight.core.errors import CheckpointError, InputError
from headlight.core.model import Model, run
from headlight.core.tokenizer import Tokenizer
from headlight.core.types import Tokens

_ROW = 240  # tokens of a row that are read; with what the tokenizer adds it stays within a sibling's context
_AROUND = 6  # tokens of context before a token


@dataclass(frozen=True)
class Sample:
    """A fixed text and its latents. texts: its rows; places: (row, token) of each latent; latents: a layer each."""

    texts: tuple[Tokens, ...]
    places: tuple[tuple[int, int], ...]
    latents: tuple[Float[Tensor, "tokens kv_lora_rank"], ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the latents."""
        return sum(t.numel() * t.element_size() for t in self.latents)


def rows(tokenizer: Tokenizer) -> tuple[Tokens, ...]:
    """The fixed text: sixteen rows of the siblings' validation text; raises CheckpointError where it cannot be read."""
    path = sibling.FOLDER / "sample.json"
    try:
        ids = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.name} cannot be read: {error}") from error
    return tuple(tokenizer.encode(tokenizer.decode(row[:_ROW])) for row in ids)


@torch.inference_mode()
def sample(
    model: Model,
    alone: Callable[[], AbstractContextManager[object]] = nullcontext,
    texts: Sequence[Tokens] | None = None,
) -> Sample:
    """The latents of a fixed text in all layers, in float32 on the CPU; what the tokenizer adds is left out.

    alone(): entered for each row, so that others wait no longer than that. texts: another text. Raises InputError where the
    model has no latent.
    """
    mla_of(model.attention, model.title)
    texts = rows(model.tokenizer) if texts is None else tuple(texts)
    places = tuple((r, t) for r, row in enumerate(texts) for t, special in enumerate(row.special) if not special)
    found: list[list[Tensor]] = [[] for _ in range(model.n_layers)]
    for row in texts:
        with alone():
            layers = run(model, row).layers
        words = torch.tensor([not special for special in row.special])
        for layer, kept in enumerate(found):
            kept.append(layers.projections(layer).cache.tensors["c_kv"].float().cpu()[words])
    return Sample(tuple(texts), places, tuple(torch.cat(kept) for kept in found))


@dataclass(frozen=True)
class Components:
    """A latent's principal components, the one of largest variance first.

    mean (kv_lora_rank,); directions (kv_lora_rank, components): a column each, of length 1; variance (components,) of the
    activations; keys, values (n_heads, components): what each adds to the variance of each head's k^C and v.
    """

    mean: Float[Tensor, " kv_lora_rank"]
    directions: Float[Tensor, "kv_lora_rank components"]
    variance: Float[Tensor, " components"]
    keys: Float[Tensor, "n_heads components"]
    values: Float[Tensor, "n_heads components"]

    def shares(self, head: int | None = None) -> dict[str, Float[Tensor, " components"]]:
        """Of latent, keys and values: each component's share of the variance, 0 to 1, adding up to 1; of one head or all."""
        chosen = slice(None) if head is None else slice(head, head + 1)
        parts = {"latent": self.variance, "keys": self.keys[chosen].sum(0), "values": self.values[chosen].sum(0)}
        return {name: part / part.sum().clamp(min=torch.finfo(part.dtype).tiny) for name, part in parts.items()}

    def activations(self, latents: Float[Tensor, "tokens kv_lora_rank"]) -> Float[Tensor, "tokens components"]:
        """How strongly each token activates each component, in standard deviations of the fixed text."""
        return (latents.double().cpu() - self.mean) @ self.directions / self.variance.clamp(min=1e-30).sqrt()


@torch.inference_mode()
def components(latents: Float[Tensor, "tokens kv_lora_rank"], attention: MLA, params: Params) -> Components:
    """The principal components of some latents, in float64; raises InputError for fewer than two tokens.

    A direction's sign is arbitrary; here its largest entry is positive.
    """
    if len(latents) < 2:
        raise InputError(f"variance takes 2 tokens or more; there are {len(latents)}")
    latents = latents.double().cpu()
    mean = latents.mean(0)
    # Eigenvectors of the covariance; an eigenvalue that is rounding below 0 is 0.
    variance, directions = torch.linalg.eigh((latents - mean).T @ (latents - mean) / (len(latents) - 1))
    variance, directions = variance.flip(0).clamp(min=0), directions.flip(1)
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    directions = directions * largest.sign()
    up = params["kv_b_proj.weight"].double().cpu().unflatten(0, (attention.n_heads, -1))
    w_uk, w_uv = up.split([attention.qk_nope_head_dim, attention.v_head_dim], dim=1)
    keys, values = ((w @ directions).square().sum(1) * variance for w in (w_uk, w_uv))
    return Components(mean, directions, variance, keys, values)


def needed(shares: Float[Tensor, " components"], part: float) -> int:
    """How many of the first components carry `part` (0-1) of the variance.

    >>> needed(torch.tensor([0.5, 0.25, 0.25]), 0.7)
    2
    """
    return int((shares.cumsum(0) < part - 1e-12).sum()) + 1


@dataclass(frozen=True)
class Response:
    """A token, what stands before it in its text (plain text), and its activation in standard deviations."""

    before: str
    piece: str
    activation: float


def responses(
    activations: Float[Tensor, " tokens"],
    texts: Sequence[Tokens],
    places: Sequence[tuple[int, int]],
    count: int = 8,
) -> tuple[list[Response], list[Response]]:
    """The tokens with the highest activation, highest first, and those with the lowest, lowest first; each word once.

    activations: one a place; places: (text, token).
    """
    order = activations.argsort(descending=True, stable=True).tolist()
    return _distinct(order, activations, texts, places, count), _distinct(
        order[::-1], activations, texts, places, count
    )


def _distinct(
    order: list[int], activations: Tensor, texts: Sequence[Tokens], places: Sequence[tuple[int, int]], count: int
) -> list[Response]:
    found: dict[str, Response] = {}
    for index in order:
        text, token = places[index]
        piece = texts[text].pieces[token]
        if piece not in found:
            before = texts[text].pieces[max(token - _AROUND, 0) : token]
            found[piece] = Response("".join(before), piece, float(activations[index]))
        if len(found) == count:
            break
    return list(found.values())
