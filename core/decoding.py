"""Continuing a text token by token with the real cache: greedy, or sampled with a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.attention.base import Params
from core.cache import DecodingCache
from core.errors import InputError
from core.model import Model, Readable, embed, final_norm
from core.types import Tokens


@dataclass(frozen=True)
class Next:
    """One new token: its id, its text, its probability (0-1), and the bytes that all layers' caches then hold."""

    id: int
    text: str
    probability: float
    cache_nbytes: int


class Decoder:
    """A model with a cache for each layer; what it has read need not be read again.

    Raises InputError for a model without a language-model head.
    """

    def __init__(self, model: Readable, capacity: int = 64) -> None:
        if not isinstance(model, Model):
            raise InputError(f"{model.title} is carried by transformers and cannot be continued here")
        if model.head is None:
            raise InputError(f"{model.title} reads both ways and cannot continue a text; a decoder can")
        self.model, self._head = model, model.head
        self.caches = [DecodingCache(capacity) for _ in model.layers]

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return self.caches[0].length

    @property
    def nbytes(self) -> int:
        """Bytes remembered in all layers: cached_elements_per_token x bytes an element x layers x tokens."""
        return sum(cache.nbytes for cache in self.caches)

    @torch.inference_mode()
    def read(self, ids: list[int]) -> Float[Tensor, " vocab_size"]:
        """Reads some more tokens and returns the logits for the one to come; raises InputError beyond the context."""
        if not ids:
            raise InputError("there is nothing to read: give at least one token")
        if self.length + len(ids) > self.model.context:
            raise InputError(f"{self.model.title} reads {self.model.context:,} tokens at most")
        x = embed(self.model, torch.tensor(ids, device=self.model.device), start=self.length)
        for params, cache in zip(self.model.layers, self.caches, strict=True):
            x = self._layer(x, params, cache)
        return final_norm(self.model, x[-1:])[0] @ self._head.T

    def _layer(self, x: Tensor, params: Params, cache: DecodingCache) -> Tensor:
        model = self.model
        return model.block(x, params, lambda h: model.attention.step(h, params, model.position, cache))


def continue_text(
    model: Readable, text: str | Tokens, count: int, temperature: float = 0.0, seed: int = 0
) -> Iterator[Next]:
    """Up to `count` new tokens, each as soon as it is there; ends early where the context does.

    temperature 0 takes the most likely token; above, tokens are drawn from softmax(logits / temperature) with `seed`.
    Raises InputError for an encoder, an unreadable text or a negative temperature.

    >>> from core import load_model
    >>> "".join(token.text for token in continue_text(load_model("smollm2", "cpu"), "The capital of France is", 2))
    ' Paris.'
    """
    if not temperature >= 0:
        raise InputError(f"temperature ({temperature}) must be 0 (the most likely token) or positive")
    decoder = Decoder(model)
    generator = torch.Generator().manual_seed(seed)
    ids = list((decoder.model.tokens(text) if isinstance(text, str) else text).ids)
    while count > 0 and decoder.length + len(ids) <= model.context:
        logits = decoder.read(ids).float().cpu()
        ids = [_choose(logits, temperature, generator)]
        yield Next(ids[0], model.tokenizer.decode(ids), float(logits.softmax(-1)[ids[0]]), decoder.nbytes)
        count -= 1


def _choose(logits: Float[Tensor, " vocab_size"], temperature: float, generator: torch.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator))
