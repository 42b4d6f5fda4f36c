"""The bytes that a model's caches hold while it reads a text token by token, and the formula they are to equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch

from headlight.core.decoding import Decoder
from headlight.core.errors import ConfigError, InputError
from headlight.core.memory.precision import DTYPES, Precision, precision
from headlight.core.memory.shape import CacheShape, LayerGroup
from headlight.core.memory.sizes import bytes_at
from headlight.core.model import Model, Readable

CAPACITY = 8  # few, so that a sentence shows how buffers double
Alone = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class CachedTensor:
    """One tensor of one layer's cache: its name, shape, dtype ("float32") and bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int


@dataclass(frozen=True)
class Held:
    """What all layers' caches held after each token. name, title: the model's; shape, precision: what the formula takes.

    held, reserved: bytes of what is remembered, and of the buffers it lies in, after 1, 2, … tokens; tensors: what one
    layer held at each of these, by name.
    """

    name: str
    title: str
    shape: CacheShape
    precision: Precision
    held: tuple[int, ...]
    reserved: tuple[int, ...]
    tensors: tuple[tuple[CachedTensor, ...], ...]

    @property
    def computed(self) -> tuple[int, ...]:
        """Bytes by `headlight.core.memory` after 1, 2, … tokens: from the model's sizes alone, no tensor looked at."""
        return tuple(bytes_at(self.shape, length, self.precision) for length in range(1, len(self.held) + 1))

    @property
    def nbytes(self) -> int:
        """About what keeping this result takes."""
        return 512 + 900 * len(self.held)


def cache_shape(model: Readable) -> CacheShape:
    """What a model's cache is made of, as its attention says; raises ConfigError for a model that is not one of ours."""
    if not isinstance(model, Model):  # one that transformers carries has no attention object to ask
        raise ConfigError(f"{model.title}'s cache has no formula here")
    layers = LayerGroup(model.n_layers, model.attention.cache_row())
    return CacheShape(model.title, model.n_layers, model.n_heads, (layers,), d_model=model.attention.d_model)


def growth(model: Readable, ids: Sequence[int], alone: Alone = nullcontext, capacity: int = CAPACITY) -> Iterator[Held]:
    """Reads the tokens one at a time with the real cache, and tells after each what is held so far.

    capacity: tokens that the buffers have room for at first. alone: entered for each token's pass, so that others get their
    turn between two (`Engine.alone`). Raises InputError for a model that cannot decode.
    """
    decoder = Decoder(model, capacity)
    so_far = Held(model.name, model.title, cache_shape(model), _precision(decoder.model), (), (), ())
    for number in ids:
        with alone():
            decoder.read([number])
        so_far = replace(
            so_far,
            held=(*so_far.held, decoder.nbytes),
            reserved=(*so_far.reserved, sum(cache.reserved_nbytes for cache in decoder.caches)),
            tensors=(*so_far.tensors, _one_layer(decoder)),
        )
        yield so_far


def held(model: Readable, ids: Sequence[int]) -> Held:
    """What the caches hold after each of the tokens; raises InputError where there are none.

    >>> from headlight import load_model
    >>> found = held(load_model("mla-rope", "cpu"), [5, 6, 7])
    >>> found.held, found.computed, found.held[-1] == 3 * 144 * 4 * 4
    ((2304, 4608, 6912), (2304, 4608, 6912), True)
    """
    if not ids:
        raise InputError("there is nothing to read: give at least one token")
    *_, last = growth(model, ids)
    return last


def _one_layer(decoder: Decoder) -> tuple[CachedTensor, ...]:
    tensors = decoder.caches[0].tensors
    return tuple(
        CachedTensor(name, tuple(t.shape), _name(t.dtype), t.numel() * t.element_size()) for name, t in tensors.items()
    )


def _precision(model: Model) -> Precision:
    return precision(DTYPES[_name(model.embedding.dtype)])


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
