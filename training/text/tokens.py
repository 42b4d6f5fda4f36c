"""Text -> token ids: a byte-level BPE tokenizer, the packed stream, and the rows that a model learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, UInt8, UInt16
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor

from headlight.core.errors import TrainingError
from training.text.corpus import SEPARATOR, Corpus

START = 0  # id of SEPARATOR: it ends documents, and opens every row and every text
_TOGETHER = 500  # documents tokenized in one call


def learn_tokenizer(corpus: Corpus, vocab_size: int) -> Tokenizer:
    """Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019) with `vocab_size` entries, learnt on the corpus.

    Every text begins with the token `<|endoftext|>`, as heads with nothing to look at rest on the first token (Xiao et
    al. 2023, attention sinks) and that should be no word of the text. Raises TrainingError for too little text.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[SEPARATOR], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus.documents, trainer, length=len(corpus.documents))
    if tokenizer.get_vocab_size() != vocab_size:
        raise TrainingError(
            f"{corpus.name} is too small: it gives {tokenizer.get_vocab_size():,} of {vocab_size:,} tokenizer entries"
        )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SEPARATOR} $A", special_tokens=[(SEPARATOR, START)]
    )
    return tokenizer


def pack(tokenizer: Tokenizer, documents: Sequence[str]) -> UInt16[np.ndarray, " stream"]:
    """All documents in order as one stream of ids, each document followed by START."""
    return np.concatenate(list(_encoded(tokenizer, documents)))


def _encoded(tokenizer: Tokenizer, documents: Sequence[str]) -> Iterator[np.ndarray]:
    for start in range(0, len(documents), _TOGETHER):
        for encoding in tokenizer.encode_batch(documents[start : start + _TOGETHER], add_special_tokens=False):
            yield np.array([*encoding.ids, START], dtype=np.uint16)


@dataclass(frozen=True, eq=False)
class Rows:
    """A stream cut into rows of `context` tokens, the rest dropped; each row is predicted from START on."""

    stream: UInt16[np.ndarray, " stream"]
    context: int

    def __len__(self) -> int:
        return len(self.stream) // self.context

    def batch(
        self, rows: Int[np.ndarray, " batch"]
    ) -> tuple[Int[Tensor, "batch context"], Int[Tensor, "batch context"]]:
        """What goes in (START and all of a row but its last token) and what is to come out (the row)."""
        cut = self.stream[: len(self) * self.context].reshape(len(self), self.context)
        targets = torch.from_numpy(cut[rows].astype(np.int64))
        inputs = torch.cat([torch.full_like(targets[:, :1], START), targets[:, :-1]], dim=1)
        return inputs, targets

    def order(self, step: int, batch: int, seed: int) -> Int[np.ndarray, " batch"]:
        """The rows that a step reads: every epoch is a shuffle of all rows of its own, made from seed and epoch."""
        epoch, place = divmod(step, len(self) // batch)
        shuffled = np.random.default_rng([seed, epoch]).permutation(len(self))
        return shuffled[place * batch : (place + 1) * batch]

    def spread(self, count: int) -> Int[np.ndarray, " count"]:
        """At most `count` rows at even distances."""
        return np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))


@dataclass(frozen=True, eq=False)
class Later(Rows):
    """The same rows in the same order, from a later step on: what comes after that which was read before."""

    start: int = 0

    def order(self, step: int, batch: int, seed: int) -> Int[np.ndarray, " batch"]:
        """The rows of step `start` + `step`."""
        return super().order(self.start + step, batch, seed)


@dataclass(frozen=True, eq=False)
class Mixed(Rows):
    """The same rows, some kinds of text more often than others.

    kinds: of every row, an index into `weights`; weights: how often an epoch reads each row of a kind. The part behind the
    point is the share of the rows, drawn anew in every epoch, that are read once more.
    """

    kinds: UInt8[np.ndarray, " rows"]
    weights: tuple[float, ...]

    def order(self, step: int, batch: int, seed: int) -> Int[np.ndarray, " batch"]:
        """The rows that a step reads, as `Rows.order`."""
        of_kind = [np.flatnonzero(self.kinds == kind) for kind in range(len(self.weights))]
        counts = [round(len(rows) * weight) for rows, weight in zip(of_kind, self.weights, strict=True)]
        epoch, place = divmod(step, sum(counts) // batch)
        random = np.random.default_rng([seed, epoch])
        # A shuffle of the kind, repeated and cut off: every row equally often, give or take one.
        chosen = [np.resize(random.permutation(rows), count) for rows, count in zip(of_kind, counts, strict=True)]
        return random.permutation(np.concatenate(chosen))[place * batch : (place + 1) * batch]


def row_kinds(
    stream: UInt16[np.ndarray, " stream"], kinds: UInt8[np.ndarray, " documents"], context: int
) -> UInt8[np.ndarray, " rows"]:
    """The kind of each row: that of the document that its middle token is from."""
    ends = np.flatnonzero(stream == START)
    middles = np.arange(len(stream) // context) * context + context // 2
    return kinds[np.searchsorted(ends, middles)]
