"""What a replica does: reads texts together that are of one model and length, and continues texts token by token.

A worker keeps nothing that matters: its decoders lie in a bounded cache, and a text whose decoder is gone is read again,
in the same pieces, so that any replica can go on where another died.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from headlight.core.decoding import Decoder
from headlight.core.errors import HeadlightError, InputError
from headlight.core.model import Model, Readable, run
from headlight.core.serving.bounded import Bounded
from headlight.core.serving.compute.batch import batches, run_batch
from headlight.core.serving.compute.wire import pack, pack_run
from headlight.core.serving.engine import Engine
from headlight.core.types import Tokens

DECODERS_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Question:
    """One text to read: the model's name, token ids, and the layers to keep (None: all)."""

    model: str
    ids: tuple[int, ...]
    layers: tuple[int, ...] | None = None

    @classmethod
    def of(cls, asked: Any) -> Question:
        """From what came over the wire; raises InputError for what is no question."""
        try:
            layers = None if asked["layers"] is None else tuple(int(i) for i in asked["layers"])
            return cls(str(asked["model"]), tuple(int(i) for i in asked["ids"]), layers)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("a question names a model, ids and layers") from error


class Worker:
    """Models of the registry on one device, loaded at first use. decoders_bytes: of caches kept for texts to go on with."""

    def __init__(self, device: str | None = None, decoders_bytes: int = DECODERS_BYTES) -> None:
        self._engine = Engine(device)
        self._decoders: Bounded[str, tuple[list[list[int]], Decoder]] = Bounded(
            decoders_bytes, lambda kept: kept[1].reserved_nbytes
        )

    def check(self) -> None:
        """Raises where the device no longer computes."""
        with torch.inference_mode():
            torch.ones(2, 2, device=self._engine.device).sum().item()

    def read(self, questions: Sequence[Question]) -> list[bytes | HeadlightError]:
        """An answer a question, in their order; those of one model, length and layers go through the model together."""
        answers: list[bytes | HeadlightError] = [InputError("not read")] * len(questions)
        groups: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
        for place, q in enumerate(questions):
            groups[q.model, len(q.ids), q.layers].append(place)
        for places in groups.values():
            for place, answer in zip(places, self._together([questions[i] for i in places]), strict=True):
                answers[place] = answer
        return answers

    def _together(self, questions: list[Question]) -> list[bytes | HeadlightError]:
        first = questions[0]
        try:
            model = self._engine.model(first.model)
            if len(questions) == 1 or not isinstance(model, Model) or not batches(model):
                return [self._alone(q) for q in questions]
            texts = [_tokens(model, q) for q in questions]
            layers = range(model.n_layers) if first.layers is None else first.layers
            with self._engine.alone():
                return [pack_run(result) for result in run_batch(model, texts, list(layers))]
        except HeadlightError:
            # One of them is refused: each for itself, so that nobody pays for another's mistake.
            return [self._alone(q) for q in questions]

    def _alone(self, question: Question) -> bytes | HeadlightError:
        try:
            model = self._engine.model(question.model)
            with self._engine.alone():
                return pack_run(run(model, _tokens(model, question), question.layers))
        except HeadlightError as error:
            return error

    def go_on(self, model: str, key: str, reads: list[list[int]], watch: bool) -> bytes:
        """The logits after the last of `reads`, the pieces that a text has been read in so far; key: the text's own.

        Raises as `Decoder`.
        """
        loaded = self._engine.model(model)
        with self._engine.alone():
            done, decoder = self._decoders.pop(key) or ([], None)
            if decoder is None or done != reads[: len(done)] or len(done) >= len(reads):
                done, decoder = [], Decoder(loaded, watch=watch)
            for ids in reads[len(done) :]:
                logits = decoder.read(_known(decoder.model, ids))
            self._decoders.put(key, (reads, decoder))
        weights = {f"weights.{i}": t for i, t in enumerate(decoder.weights)}
        return pack({"nbytes": decoder.nbytes, "layers": len(weights)}, {"logits": logits, **weights})


def _tokens(model: Readable, question: Question) -> Tokens:
    ids = tuple(_known(model, list(question.ids)))
    if len(ids) > model.context:
        raise InputError(f"this text has {len(ids):,} tokens; {model.title} reads {model.context:,} at most here")
    if question.layers is not None and not all(0 <= i < model.n_layers for i in question.layers):
        raise InputError(f"layers {question.layers}: {model.title} has layers 0 to {model.n_layers - 1}")
    nothing = ("",) * len(ids)  # the app has the pieces; here only the ids count
    return Tokens("", ids, nothing, ((0, 0),) * len(ids), (False,) * len(ids))


def _known(model: Readable, ids: list[int]) -> list[int]:
    most = len(model.embedding) if isinstance(model, Model) else model.tokenizer.size
    if not ids or not all(0 <= i < most for i in ids):
        raise InputError(f"{model.title} reads one or more ids from 0 to {most - 1:,}")
    return ids
