"""A long text through a model, in parts that can be watched, interleaved with other work and stopped between any two.

Layer after layer, the layer in chunks of CHUNK tokens, each over the keys and values of those before it (chunked prefill):
besides the stream (length x d_model) only one layer's keys and values and one chunk's numbers are in memory, so that memory
grows linearly with the length. What each layer's attention reads is kept on a `ActivationStore`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.attention.base import Params
from headlight.core.cache import DecodingCache, KVCache
from headlight.core.errors import InputError
from headlight.core.long.activation_store import ActivationStore
from headlight.core.model import Model, Readable, embed, final_norm
from headlight.core.types import Projections, Tokens

CHUNK = 512


@dataclass(frozen=True)
class Reading:
    """A text that was read: every layer's queries and keys are one projection away, without another pass.

    hidden: the last layer's output after the final norm. activations: what each layer's attention read.
    """

    model: Model
    tokens: Tokens
    hidden: Float[Tensor, "seq d_model"]
    activations: ActivationStore

    @torch.inference_mode()
    def projections(self, layer: int) -> Projections:
        """A layer's queries, keys and values, positions in them; raises InputError for a layer that is not there."""
        if not 0 <= layer < self.model.n_layers:
            last = self.model.n_layers - 1
            raise InputError(f"layer {layer} does not exist: {self.model.title} has layers 0 to {last}")
        x = self.activations.read(layer, self.model.device)
        return self.model.attention.project(x, self.model.layers[layer], self.model.position, KVCache())

    @property
    def nbytes(self) -> int:
        """Bytes kept: the activations's on disk, and `hidden` in memory."""
        return self.activations.nbytes + self.hidden.numel() * self.hidden.element_size()


class Reader:
    """A reading under way: `step` does the next part of it (a tenth of a second or so), until it is `finished`.

    Raises InputError for a text longer than the model's context and for models that transformers carries.
    """

    def __init__(self, model: Readable, tokens: Tokens, folder: Path | None = None) -> None:
        if not isinstance(model, Model):
            raise InputError(f"{model.title} is run by transformers and cannot be read in parts; Explore shows it")
        if len(tokens) > model.context:
            raise InputError(f"this text has {len(tokens):,} tokens; {model.title} reads {model.context:,} at most")
        self.tokens, self._model = tokens, model
        sizes = (model.n_layers, len(tokens), model.attention.d_model)
        self._shelf = ActivationStore(*sizes, model.embedding.dtype, folder)
        self._parts = self._read()
        self._work, self._total = 0.0, sum(self._cost(*part) for part in self._chunks()) * model.n_layers
        self._seconds = 0.0
        self._hidden: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that will be kept on disk."""
        return self._shelf.nbytes

    @property
    def finished(self) -> bool:
        """Whether all is read."""
        return self._hidden is not None

    @property
    def done(self) -> float:
        """How much of the work is done, 0 to 1."""
        return min(self._work / self._total, 1.0)

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the parts so far; None before the first."""
        return self._seconds * (1 / self.done - 1) if self.done else None

    @torch.inference_mode()
    def step(self) -> None:
        """The next part; nothing once all is read."""
        start = time.perf_counter()
        next(self._parts, None)
        self._seconds += time.perf_counter() - start

    def waited(self, seconds: float) -> None:
        """Time that passed between two parts while others had the device: it belongs to the estimate."""
        self._seconds += seconds

    @property
    def reading(self) -> Reading:
        """The result; raises InputError before all is read."""
        if self._hidden is None:
            raise InputError("this text is not read to its end")
        return Reading(self._model, self.tokens, self._hidden, self._shelf)

    def _read(self) -> Iterator[None]:
        x = embed(self._model, torch.tensor(self.tokens.ids, device=self._model.device))
        for index, params in enumerate(self._model.layers):
            cache = DecodingCache(len(x))
            for start, stop in self._chunks():
                # In place: a chunk of the stream is needed by nobody once the layer has read it.
                x[start:stop] = self._model.block(x[start:stop], params, self._attend(index, start, params, cache))
                self._work += self._cost(start, stop)
                yield
        self._hidden = final_norm(self._model, x)

    def _attend(self, index: int, start: int, params: Params, cache: DecodingCache) -> Callable[[Tensor], Tensor]:
        def attend(h: Tensor) -> Tensor:
            self._shelf.write(index, start, h)
            attention = self._model.attention
            return attention.fused(attention.project(h, params, self._model.position, cache), params)

        return attend

    def _chunks(self) -> list[tuple[int, int]]:
        # A model that reads both ways needs all keys at once; the ones there are read 512 tokens.
        length = len(self.tokens)
        size = CHUNK if self._model.causal else length
        return [(start, min(start + size, length)) for start in range(0, length, size)]

    def _cost(self, start: int, stop: int) -> float:
        """Multiplications of a chunk: each token through the layer's matrices, and by all keys and values it may see."""
        weights = sum(w.numel() for w in self._model.layers[0].values())
        return float(stop - start) * (weights + 2 * stop * self._model.n_heads * self._model.attention.head_dim)


def read(model: Readable, tokens: Tokens, folder: Path | None = None) -> Reading:
    """The whole text at once, for notebooks and tests.

    >>> from headlight import load_model
    >>> model = load_model("gqa-rope", "cpu")
    >>> reading = read(model, model.tokens("Once upon a time there was a king. " * 9))
    >>> reading.projections(2).k.shape
    torch.Size([2, 91, 32])
    """
    reader = Reader(model, tokens, folder)
    while not reader.finished:
        reader.step()
    return reader.reading
