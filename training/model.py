"""A sibling over a batch of rows: core's own blocks, projections and encodings, with one fused attention a layer.

Tested equal to `core.run` on each row. Shapes are those of `core` with a leading batch axis.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from headlight.core.attention import Attention
from headlight.core.attention.base import Params, linear
from headlight.core.cache import KVCache
from headlight.core.checkpoints import sibling
from headlight.core.checkpoints.folder import Config
from headlight.core.model import DecoderBlock, rms_norm
from headlight.core.positions import Position

_INTO_RESIDUAL = ("o_proj.weight", "down_proj.weight")


def initial(config: Config, seed: int) -> dict[str, Tensor]:
    """Fresh float32 parameters: ones for norms, else normal with variance 1/fan_in (E: 1/d_model).

    What is added to the residual stream starts smaller by sqrt(2 n_layers) (GPT-2). Every tensor is drawn from its own
    seed, so that tensors of the same name and shape begin the same in all siblings.
    """
    return {name: _draw(name, shape, config, seed) for name, shape in sibling.shapes(config).items()}


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
        embedding = params["embedding.weight"]
        x = self._at_input(F.embedding(ids, embedding) * self.multiplier)
        for index in range(self.n_layers):
            x = self._layer(x, sibling.layer_params(params, index))
        return F.linear(rms_norm(x, params["final_layernorm.weight"], self.block.eps), embedding)

    def _at_input(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        pos = torch.arange(x.shape[1], device=x.device)
        return torch.vmap(lambda row: self.position.at_input(row, pos))(x)

    def _layer(self, x: Float[Tensor, "batch seq d_model"], params: Params) -> Float[Tensor, "batch seq d_model"]:
        return self.block(x, params, lambda h: attend(h, params, self.attention, self.position))


def attend(
    h: Float[Tensor, "batch seq d_model"], params: Params, attention: Attention, position: Position
) -> Float[Tensor, "batch seq d_model"]:
    """`Attention.attend(...).out` of every row, through torch's fused attention over the batch."""

    def project(row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p = attention.project(row, params, position, KVCache())
        return p.q, p.k, p.v

    q, k, v = torch.vmap(project)(h)
    k, v = (t.repeat_interleave(attention.n_heads // t.shape[1], dim=1) for t in (k, v))
    # The CPU's flash kernel takes values as wide as keys only; MLA's are narrower.
    padded = F.pad(v, (0, q.shape[-1] - v.shape[-1]))
    scale = attention.scale * position.score_scale
    heads = F.scaled_dot_product_attention(q, k, padded, is_causal=attention.causal, scale=scale)[..., : v.shape[-1]]
    return linear(heads.transpose(1, 2).flatten(2), params, "o_proj")


def loss(
    network: Network, params: Mapping[str, Tensor], inputs: Int[Tensor, "batch seq"], targets: Int[Tensor, "batch seq"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats a token, the softmax in float32 at least."""
    logits = network.logits(params, inputs).flatten(0, 1)
    return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), targets.flatten())
