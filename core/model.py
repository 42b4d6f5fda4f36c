"""The transformer around the attention: embeddings, one encoder block, one decoder block, and `run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from headlight.core.attention.base import Attention, Params, linear
from headlight.core.cache import KVCache
from headlight.core.errors import InputError
from headlight.core.overload import Check, go_on
from headlight.core.positions.base import Position
from headlight.core.tokenizer import Tokenizer
from headlight.core.types import Projections, Run, Tokens, Traces, positions


@runtime_checkable
class Block(Protocol):
    """One layer: attention and feed-forward, with their norms and residual connections."""

    def __call__(self, x: Tensor, params: Params, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """The layer's output; `attend` is the attention sub-layer."""
        ...


@dataclass(frozen=True)
class DecoderBlock:
    """Norms first, as in Llama (Touvron et al. 2023, section 2.2): x + attend(RMSNorm x), then x + SwiGLU(RMSNorm x)."""

    eps: float

    def shapes(self, d_model: int, d_ff: int) -> dict[str, tuple[int, ...]]:
        """The layer's parameters outside the attention, weights [out, in]; d_ff: width of the feed-forward part."""
        norms = {f"{name}.weight": (d_model,) for name in ("input_layernorm", "post_attention_layernorm")}
        wide = {"gate_proj.weight": (d_ff, d_model), "up_proj.weight": (d_ff, d_model)}
        return {**norms, **wide, "down_proj.weight": (d_model, d_ff)}

    def __call__(self, x: Tensor, params: Params, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """The layer's output."""
        x = x + attend(rms_norm(x, params["input_layernorm.weight"], self.eps))
        h = rms_norm(x, params["post_attention_layernorm.weight"], self.eps)
        gate = F.silu(linear(h, params, "gate_proj")) * linear(h, params, "up_proj")
        return x + linear(gate, params, "down_proj")


@dataclass(frozen=True)
class EncoderBlock:
    """Norms last, as in BERT (Devlin et al. 2019; Vaswani et al. 2017): LayerNorm(x + attend x), LayerNorm(x + GELU MLP)."""

    eps: float

    def shapes(self, d_model: int, d_ff: int) -> dict[str, tuple[int, ...]]:
        """The layer's parameters outside the attention, weights [out, in]; d_ff: width of the feed-forward part."""
        names = [
            f"{name}.{part}" for name in ("attention_layernorm", "output_layernorm") for part in ("weight", "bias")
        ]
        up = {"up_proj.weight": (d_ff, d_model), "up_proj.bias": (d_ff,)}
        down = {"down_proj.weight": (d_model, d_ff), "down_proj.bias": (d_model,)}
        return {**dict.fromkeys(names, (d_model,)), **up, **down}

    def __call__(self, x: Tensor, params: Params, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """The layer's output."""
        x = layer_norm(x + attend(x), params, "attention_layernorm", self.eps)
        h = linear(F.gelu(linear(x, params, "up_proj")), params, "down_proj")
        return layer_norm(x + h, params, "output_layernorm", self.eps)


@runtime_checkable
class Readable(Protocol):
    """What can be looked at: a `Model` of ours, or one that `transformers` carries (`headlight.core.hub`)."""

    @property
    def name(self) -> str:
        """Its short name."""
        ...

    @property
    def title(self) -> str:
        """What people call it."""
        ...

    @property
    def context(self) -> int:
        """Tokens it can read at most."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """What turns a text into its tokens."""
        ...

    @property
    def n_layers(self) -> int:
        """Layers with attention."""
        ...

    @property
    def n_heads(self) -> int:
        """Query heads of a layer."""
        ...

    @property
    def causal(self) -> bool:
        """Whether a token sees only itself and earlier ones."""
        ...

    def read(self, tokens: Tokens, layers: Sequence[int], check: Check = go_on) -> Run:
        """One forward pass; what the layers asked for computed is kept. check: called before each layer, may raise."""
        ...


@dataclass(frozen=True, eq=False)
class Model:
    """Trained weights and all that is needed to run a text through them.

    name: the short name of the registry; title: what people call it; context: tokens it can read at most.
    attention, position, block: what each layer is. embedding (vocab_size, d_model); layers: parameters, one mapping a
    layer; top: parameters outside the layers (norms). head (vocab_size, d_model): None for an encoder.
    """

    name: str
    title: str
    context: int
    tokenizer: Tokenizer
    attention: Attention
    position: Position
    block: Block
    embedding: Tensor
    layers: tuple[Params, ...]
    top: Params = field(default_factory=dict)
    head: Tensor | None = None
    eps: float = 1e-5

    @property
    def n_layers(self) -> int:
        """Layers of the model."""
        return len(self.layers)

    @property
    def n_heads(self) -> int:
        """Query heads of a layer."""
        return self.attention.n_heads

    @property
    def causal(self) -> bool:
        """Whether a token sees only itself and earlier ones."""
        return self.attention.causal

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.device

    def tokens(self, text: str) -> Tokens:
        """The text as this model reads it; raises InputError if it is empty or longer than the context."""
        return within(self.tokenizer.encode(text), self.context, self.title)

    def read(self, tokens: Tokens, layers: Sequence[int], check: Check = go_on) -> Run:
        """One forward pass; the queries, keys and values of the layers asked for are kept. check: called before each layer."""
        kept: dict[int, Projections] = {}
        x = embed(self, torch.tensor(tokens.ids, device=self.device))
        for index, params in enumerate(self.layers):
            check()
            x = _layer(self, index, x, params, kept if index in layers else {})
        hidden = final_norm(self, x)
        traces = Traces({i: (self.attention, self.layers[i], kept[i]) for i in layers})
        return Run(model=self.name, tokens=tokens, layers=traces, hidden=hidden, head=self.head)


def within(tokens: Tokens, limit: int, title: str) -> Tokens:
    """The tokens, or an InputError that names the limit."""
    if len(tokens) > limit:
        raise InputError(f"this text has {len(tokens):,} tokens; {title} reads {limit:,} at most here")
    return tokens


@torch.inference_mode()
def run(model: Readable, text: str | Tokens, layers: Sequence[int] | None = None, check: Check = go_on) -> Run:
    """One text through the model: `result.layers[3].weights` is (n_heads, q_len, kv_len), 0 to 1.

    layers: which layers to keep for tracing, counted from 0; None keeps all. check: called before each layer; what it raises
    ends the run. Raises InputError for an empty or overlong text and for a layer that the model does not have.

    >>> from headlight import load_model
    >>> result = run(load_model("minilm", "cpu"), "The animal was tired, because it had run.", layers=[3])
    >>> result.layers[3].weights.shape
    torch.Size([12, 12, 12])
    >>> result.tokens.pieces[:3]
    ('[CLS]', 'The', 'animal')
    """
    tokens = model.tokenizer.encode(text) if isinstance(text, str) else text
    return model.read(within(tokens, model.context, model.title), _check_layers(model, layers), check)


def embed(model: Model, ids: Tensor, start: int = 0) -> Float[Tensor, "seq d_model"]:
    """The residual stream before the first layer: token vectors, positions where the encoding acts there, BERT's norm."""
    return embedding_norm(model, model.position.at_input(model.embedding[ids], positions(start, len(ids), ids.device)))


def embedding_norm(model: Model, x: Float[Tensor, "*lead d_model"]) -> Float[Tensor, "*lead d_model"]:
    """BERT's norm of what goes into the first layer; x itself where a model has none."""
    return (
        layer_norm(x, model.top, "embedding_layernorm", model.eps) if "embedding_layernorm.weight" in model.top else x
    )


def _layer(model: Model, index: int, x: Tensor, params: Params, kept: dict[int, Projections]) -> Tensor:
    def attend(h: Tensor) -> Tensor:
        projections = model.attention.project(h, params, model.position, KVCache())
        kept[index] = projections
        return model.attention.fused(projections, params)

    return model.block(x, params, attend)


def final_norm(model: Model, x: Tensor) -> Tensor:
    """The norm after the last layer, where the model has one."""
    weight = model.top.get("final_layernorm.weight")
    return x if weight is None else rms_norm(x, weight, model.eps)


def _check_layers(model: Readable, layers: Sequence[int] | None) -> list[int]:
    if layers is None:
        return list(range(model.n_layers))
    for layer in layers:
        if not 0 <= layer < model.n_layers:
            raise InputError(f"layer {layer} does not exist: {model.title} has layers 0 to {model.n_layers - 1}")
    return list(layers)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x²) + eps) · weight, over the last axis (Zhang and Sennrich 2019, eq. 4)."""
    return F.rms_norm(x, weight.shape, weight, eps)


def layer_norm(x: Tensor, params: Params, name: str, eps: float) -> Tensor:
    """Layer normalisation over the last axis with `name`.weight and `name`.bias (Ba et al. 2016)."""
    weight = params[f"{name}.weight"]
    return F.layer_norm(x, weight.shape, weight, params[f"{name}.bias"], eps)
