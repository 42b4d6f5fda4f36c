"""Continuing a text token by token with the real cache: greedy, or sampled with a seed; what each step looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.attention import GQA, MHA, MLA, MQA, Attention
from headlight.core.attention.base import Params
from headlight.core.cache import DecodingCache
from headlight.core.errors import InputError
from headlight.core.model import Model, Readable, embed, final_norm
from headlight.core.overload import Check, go_on
from headlight.core.types import Tokens

CANDIDATES = 8


@dataclass(frozen=True)
class Next:
    """One new token: its id, its text, its probability (0-1), and the bytes that all layers' caches then hold.

    candidates: the likeliest tokens and their probabilities, highest first, before temperature. weights: where the token
    read last looked when this one was chosen, (n_heads, kv_len) a layer; empty unless it was watched.
    """

    id: int
    text: str
    probability: float
    cache_nbytes: int
    candidates: tuple[tuple[str, float], ...] = ()
    weights: tuple[Float[Tensor, "n_heads kv_len"], ...] = ()


@runtime_checkable
class Decoding(Protocol):
    """What a `Continuation` asks of whatever reads its tokens: a `Decoder`, or one whose caches are elsewhere.

    here: whether it reads in this process; weights: (n_heads, kv_len) a layer of the token read last, where it is watched.
    """

    here: bool
    model: Model
    weights: tuple[Tensor, ...]

    @property
    def length(self) -> int:
        """Tokens read so far."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes remembered in all layers."""
        ...

    @property
    def reserved_nbytes(self) -> int:
        """Bytes held in this process for that, room for tokens to come included."""
        ...

    def read(self, ids: list[int], check: Check = go_on) -> Float[Tensor, " vocab_size"]:
        """Reads some more tokens and returns the logits for the one to come; raises what `check` raises, with nothing read."""
        ...


class Decoder:
    """A model with a cache for each layer; what it has read need not be read again.

    watch: keep the weights of the token read last, in `weights`, (n_heads, kv_len) a layer. Raises InputError for a model
    without a language-model head.
    """

    here = True

    def __init__(self, model: Readable, capacity: int = 64, watch: bool = False) -> None:
        if not isinstance(model, Model):
            raise InputError(f"{model.title} is run by transformers and cannot be continued here")
        if model.head is None:
            raise InputError(f"{model.title} reads both ways and cannot continue a text; a decoder can")
        self.model, self._head = model, model.head
        self.caches = [DecodingCache(capacity) for _ in model.layers]
        self._watch = watch
        self.weights: tuple[Tensor, ...] = ()

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return self.caches[0].length

    @property
    def nbytes(self) -> int:
        """Bytes remembered in all layers: cached_elements_per_token x bytes an element x layers x tokens."""
        return sum(cache.nbytes for cache in self.caches)

    @property
    def reserved_nbytes(self) -> int:
        """Bytes of the caches' buffers, room for tokens to come included."""
        return sum(cache.reserved_nbytes for cache in self.caches)

    @torch.inference_mode()
    def read(self, ids: list[int], check: Check = go_on) -> Float[Tensor, " vocab_size"]:
        """Reads some more tokens and returns the logits for the one to come; raises InputError beyond the context.

        check: called before the first layer, since a cache that only some layers wrote to could not be read on with.
        """
        if not ids:
            raise InputError("there is nothing to read: give at least one token")
        if self.length + len(ids) > self.model.context:
            raise InputError(f"{self.model.title} reads {self.model.context:,} tokens at most")
        check()
        seen: list[Tensor] = []
        x = embed(self.model, torch.tensor(ids, device=self.model.device), start=self.length)
        for params, cache in zip(self.model.layers, self.caches, strict=True):
            x = self._layer(x, params, cache, seen)
        self.weights = tuple(seen)
        return final_norm(self.model, x[-1:])[0] @ self._head.T

    def _layer(self, x: Tensor, params: Params, cache: DecodingCache, seen: list[Tensor]) -> Tensor:
        attention, position = self.model.attention, self.model.position

        def attend(h: Tensor) -> Tensor:
            if not self._watch:
                return attention.step(h, params, position, cache)
            out, weights = attention.watched(h, params, position, cache)
            seen.append(weights)
            return out

        return self.model.block(x, params, attend)


class Continuation:
    """A text that is continued one token at a time.

    temperature 0 takes the most likely token; above, tokens are drawn from softmax(logits / temperature) with `seed`, so
    that the same choices give the same tokens on the same machine. decoder: what reads, instead of one of its own. Raises
    InputError for an encoder, an unreadable text or a negative temperature.
    """

    def __init__(
        self, model: Readable, text: str | Tokens, temperature: float = 0.0, seed: int = 0, watch: bool = False,
        decoder: Decoding | None = None,
    ) -> None:  # fmt: skip
        if not temperature >= 0:
            raise InputError(f"temperature ({temperature}) must be 0 (the most likely token) or positive")
        self.decoder: Decoding = Decoder(model, watch=watch) if decoder is None else decoder
        self.prompt = self.decoder.model.tokens(text) if isinstance(text, str) else text
        self.steps: list[Next] = []
        self._temperature, self._generator = temperature, torch.Generator().manual_seed(seed)

    @property
    def nbytes(self) -> int:
        """Bytes held in this process: the caches' buffers, room for tokens to come included, and the watched weights."""
        watched = (weights for step in self.steps for weights in step.weights)
        return (
            self.decoder.reserved_nbytes
            + sum(t.numel() * t.element_size() for t in watched)
            + 2000 * (1 + len(self.steps))
        )

    @property
    def full(self) -> bool:
        """Whether the model's context has no room for what would be read next."""
        return len(self.prompt) + len(self.steps) > self.decoder.model.context

    def advance(self, check: Check = go_on) -> Next:
        """Reads what is new, the whole text at first and one token from then on, and chooses the next token.

        Raises InputError where the context is full, and what `check` raises, before anything is read.
        """
        ids = [self.steps[-1].id] if self.steps else list(self.prompt.ids)
        logits = self.decoder.read(ids, check).float().cpu()
        chosen, shares = self._choose(logits), logits.softmax(-1)
        decode = self.decoder.model.tokenizer.decode
        top = shares.topk(min(CANDIDATES, len(shares)))
        candidates = [(decode([i]), p) for i, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
        new = Next(
            chosen,
            decode([chosen]),
            float(shares[chosen]),
            self.decoder.nbytes,
            tuple(candidates),
            self.decoder.weights,
        )
        self.steps.append(new)
        return new

    def _choose(self, logits: Float[Tensor, " vocab_size"]) -> int:
        if self._temperature == 0:
            return int(logits.argmax())
        return int(torch.multinomial((logits / self._temperature).softmax(-1), 1, generator=self._generator))


def continue_text(
    model: Readable, text: str | Tokens, count: int, temperature: float = 0.0, seed: int = 0
) -> Iterator[Next]:
    """Up to `count` new tokens, each as soon as it is there; ends early where the context does.

    Raises what `Continuation` raises.

    >>> from headlight import load_model
    >>> "".join(token.text for token in continue_text(load_model("smollm2", "cpu"), "The capital of France is", 2))
    ' Paris.'
    """
    continuation = Continuation(model, text, temperature, seed)
    while len(continuation.steps) < count and not continuation.full:
        yield continuation.advance()


def what_variants_keep(model: Model) -> dict[str, int]:
    """Bytes a token in all layers, in the precision of the weights: the model's own, and other variants with its heads.

    MLA as in DeepSeek-V2's Table 1: a latent of four heads' width and a rotated key of half a head's.
    """
    own = model.attention
    d_model, n, dim = own.d_model, own.n_heads, own.v_head_dim
    shared = own.n_kv_heads if 1 < own.n_kv_heads < n else max(n // 3, 1)
    latent = MLA(d_model, n, kv_lora_rank=4 * dim, qk_nope_head_dim=dim, qk_rope_head_dim=dim // 2, v_head_dim=dim)
    found: dict[str, Attention] = {
        "MHA": MHA(d_model, n, dim),
        f"GQA, {shared} KV heads": GQA(d_model, n, dim, n_kv_heads=shared),
        "MLA": own if own.cache_row().part("latent") else latent,
        "MQA": MQA(d_model, n, dim),
    }
    element = model.embedding.element_size() * model.n_layers
    return {name: attention.cached_elements_per_token() * element for name, attention in found.items()}
