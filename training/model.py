"""A sibling over a batch of rows: core's own blocks, projections and encodings, with one fused attention a layer.

Tested equal to `core.run` on each row. Shapes are those of `core` with a leading batch axis.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from headlight.core.attention import Attention
from headlight.core.attention.base import Params, fused_heads, linear
from headlight.core.cache import KVCache
from headlight.core.checkpoints import sibling
from headlight.core.checkpoints.folder import Config
from headlight.core.model import DecoderBlock, rms_norm
from headlight.core.positions import Position
from training import head

_INTO_RESIDUAL = ("o_proj.weight", "down_proj.weight")


def initial(config: Config, seed: int) -> dict[str, Tensor]:
    """Fresh float32 parameters: ones for norms, else normal with variance 1/fan_in (E: 1/d_model).

    What is added to the residual stream starts smaller by sqrt(2 n_layers) (GPT-2). Every tensor is drawn from its own
    seed, so that tensors of the same name and shape begin the same in all siblings. `embedding_mean` of the configuration,
    if any, is the share of one random vector u/sqrt(d_model) in every row of E: queries and keys have no bias, so a head
    that attends by position needs a direction that all tokens have in common, and else has to learn it first.
    """
    params = {name: _draw(name, shape, config, seed) for name, shape in sibling.shapes(config).items()}
    if config.get("embedding_mean"):
        params["embedding.weight"] += config["embedding_mean"] * _draw(
            "embedding.mean", (1, config["d_model"]), config, seed
        )
    return params


def _draw(name: str, shape: tuple[int, ...], config: Config, seed: int) -> Tensor:
    if len(shape) == 1:
        return torch.ones(shape)
    std = shape[1] ** -0.5
    if name.endswith(_INTO_RESIDUAL):
        std /= math.sqrt(2 * config["n_layers"])
    return std * torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode())))


class Network:
    """The forward pass of one sibling; parameters are handed in at each call."""

    def __init__(self, config: Config) -> None:
        self.attention, self.position = sibling.attention_of(config), sibling.position_of(config)
        self.block = DecoderBlock(config["eps"])
        self.n_layers: int = config["n_layers"]
        self.multiplier: float = config["embedding_multiplier"]

    def logits(
        self, params: Mapping[str, Tensor], ids: Int[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq vocab_size"]:
        """One score a vocabulary entry for what follows each token."""
        return F.linear(self.hidden(params, ids), params["embedding.weight"])

    def hidden(self, params: Mapping[str, Tensor], ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """What the output layer reads: the residual stream after the last layer, normed."""
        x = self._at_input(F.embedding(ids, params["embedding.weight"]) * self.multiplier)
        for index in range(self.n_layers):
            x = self._layer(x, sibling.layer_params(params, index))
        return rms_norm(x, params["final_layernorm.weight"], self.block.eps)

    def _at_input(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        pos = torch.arange(x.shape[1], device=x.device)
        return torch.vmap(lambda row: self.position.at_input(row, pos))(x)

    def _layer(self, x: Float[Tensor, "batch seq d_model"], params: Params) -> Float[Tensor, "batch seq d_model"]:
        return self.block(x, params, lambda h: attend(h, params, self.attention, self.position))


def attend(
    h: Float[Tensor, "batch seq d_model"], params: Params, attention: Attention, position: Position
) -> Float[Tensor, "batch seq d_model"]:
    """`Attention.attend(...).out` of every row, through torch's fused attention over the batch."""

    masks: list[Tensor | None] = []

    def project(row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p = attention.project(row, params, position, KVCache())
        masks.append(attention.fused_mask(p))  # of positions alone, so it is the same for all rows
        return p.q, p.k, p.v

    q, k, v = torch.vmap(project)(h)
    k, v = (t.repeat_interleave(attention.n_heads // t.shape[1], dim=1) for t in (k, v))
    scale = attention.scale * position.score_scale
    heads = fused_heads(q, k, v, masks[0], masks[0] is None and attention.causal, scale)
    return linear(heads.transpose(1, 2).flatten(2), params, "o_proj")


def loss(
    params: Mapping[str, Tensor],
    hidden: Callable[[Mapping[str, Tensor], Tensor], Tensor],
    inputs: Int[Tensor, "batch seq"],
    targets: Int[Tensor, "batch seq"],
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats per token, the softmax in float32 at least; hidden: `Network.hidden`, compiled or not."""
    read = hidden(params, inputs).flatten(0, 1)
    return head.cross_entropy(read, params["embedding.weight"], targets.flatten())
