"""What distillation reads: batches of equally long texts from a corpus, in an order that follows from the seed alone."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from headlight.core.errors import TrainingError
from headlight.core.model import Model
from headlight.core.surgery.held_out import held_out, held_out_news
from training.text import corpus

CHUNK = 1600  # characters of a chunk of the corpus at least; it begins and ends with a line
SHARED = 8  # a chunk with as many words in a row of a held-out text is not read
SEED = 0


@dataclass(frozen=True, eq=False)
class Reading:
    """batches: ids (texts, tokens) of equally long texts; a step reads the batch of its number.

    corpus, sha256: the file and its unpacked bytes; dropped: chunks that shared SHARED words in a row with a held-out text.
    """

    batches: tuple[Int[Tensor, "batch seq"], ...]
    corpus: str
    sha256: str
    dropped: int

    def batch(self, step: int) -> Int[Tensor, "batch seq"]:
        """What a step reads; from the beginning again after the last."""
        return self.batches[step % len(self.batches)]

    @property
    def fingerprint(self) -> str:
        """Changes with anything that is read."""
        digest = hashlib.sha256(self.sha256.encode())
        for batch in self.batches:
            digest.update(batch.numpy().tobytes())
        return digest.hexdigest()[:16]


def rows(model: Model, path: Path, length: int, together: int, steps: int) -> Reading:
    """For decoders: texts that begin where a line begins, each cut after `length` tokens; shorter ones are left out."""
    source = corpus.read(path)
    chunks = Chunks(source.documents)
    found = []
    for text in chunks:
        ids = model.tokenizer.encode(text).ids
        if len(ids) >= length:
            found.append(torch.tensor(ids[:length]))
        if len(found) == steps * together:
            break
    batches = tuple(torch.stack(found).split(together)) if len(found) >= together else ()
    return _reading(batches, source, chunks.dropped)


def sentences(model: Model, path: Path, length: int, tokens: int, steps: int) -> Reading:
    """For encoders: one to three sentences a text, of at most `length` tokens, batched with others as long, some `tokens` a
    batch."""
    source = corpus.read(path)
    buckets: dict[int, list[tuple[int, ...]]] = {}
    found: list[Tensor] = []
    chunks, dice = Chunks(source.documents), random.Random(SEED)
    for text in _few_sentences(chunks, dice):
        ids = model.tokenizer.encode(text).ids
        bucket = buckets.setdefault(len(ids), [])
        bucket.append(ids)
        if len(ids) <= length and len(bucket) * len(ids) >= tokens:
            found.append(torch.tensor(buckets.pop(len(ids))))
        if len(found) == steps:
            break
    dice.shuffle(found)
    return _reading(tuple(found), source, chunks.dropped)


def _reading(batches: tuple[Tensor, ...], source: corpus.Corpus, dropped: int) -> Reading:
    if not batches:
        raise TrainingError(f"{source.name} is too small: it gives not one batch")
    return Reading(batches, source.name, source.sha256, dropped)


class Chunks:
    """Stretches of whole lines of all documents, shuffled, without those that share words with a held-out text."""

    def __init__(self, documents: Sequence[str]) -> None:
        self.dropped = 0
        self._found = [chunk for text in documents for chunk in _cut(text)]
        random.Random(SEED).shuffle(self._found)
        self._held = {run for text in (held_out(), held_out_news()) for run in _runs(" ".join(text.passages))}

    def __iter__(self) -> Iterator[str]:
        for chunk in self._found:
            if self._held.isdisjoint(_runs(chunk)):
                yield chunk
            else:
                self.dropped += 1


def _cut(document: str) -> Iterator[str]:
    held: list[str] = []
    for line in document.split("\n"):
        held.append(line)
        if sum(map(len, held)) >= CHUNK:
            yield "\n".join(held).strip()
            held = []
    if held:
        yield "\n".join(held).strip()


def _runs(text: str) -> Iterable[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9']+", text.lower())
    return zip(*(words[i:] for i in range(SHARED)), strict=False)


def _few_sentences(chunks: Chunks, dice: random.Random) -> Iterator[str]:
    for chunk in chunks:
        parts = [part for part in re.split(r"(?<=[.!?])[\"')]*\s+", chunk) if len(part.split()) >= 3]
        while parts:
            count = dice.randint(1, 3)
            yield " ".join(parts[:count])
            parts = parts[count:]
