"""Corpus -> tokenizer and packed tokens in the work folder, once; later runs read them back."""

from __future__ import annotations

import fcntl
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tokenizers import Tokenizer

from headlight.core.errors import TrainingError
from training import files
from training.presets import Preset
from training.text import corpus, tokens
from training.text.tokens import Mixed, Rows, row_kinds


@dataclass(frozen=True, eq=False)
class Prepared:
    """What all siblings read: rows to learn from and to be judged on, the tokenizer's file, and where they are from.

    valid_kinds: of every row of `valid`, an index into `corpus.KINDS`.
    """

    train: Rows
    valid: Rows
    valid_kinds: UInt8[np.ndarray, " rows"]
    tokenizer: Path
    sources: dict[str, dict[str, str]]

    @property
    def sha256(self) -> str:
        """Of the training text."""
        return self.sources["train"]["sha256"]


def prepare(preset: Preset, work: Path, train: Path | None, valid: Path | None) -> Prepared:
    """Tokenizer and tokens from the two texts, or those already in `work`; raises TrainingError where neither will do."""
    if bool(train) != bool(valid):
        raise TrainingError("--corpus and --valid go together: a text to learn from and another to judge on")
    with locked(work / "prepare.lock"):
        if train and valid:
            texts = {"train": corpus.read(train), "valid": corpus.read(valid)}
            if not _same(work, texts):
                _make(preset, work, texts)
            elif not _kinds_file(work, "valid").exists():  # tokens that were prepared before kinds were told apart
                _write_kinds(work, texts)
        elif not (work / "sources.json").exists():
            raise TrainingError("nothing is prepared yet: name the texts with --corpus FILE and --valid FILE")
    return _read(preset, work)


def _same(work: Path, texts: dict[str, corpus.Corpus]) -> bool:
    file = work / "sources.json"
    if not file.exists():
        return False
    if json.loads(file.read_text("utf-8")) != _sources(texts):
        raise TrainingError(f"{work} holds tokens of another corpus; remove it, or name another folder with --work")
    return True


def _make(preset: Preset, work: Path, texts: dict[str, corpus.Corpus]) -> None:
    tokenizer = tokens.learn_tokenizer(texts["train"], preset.vocab_size)
    streams = {part: tokens.pack(tokenizer, text.documents) for part, text in texts.items()}
    for part, count in (("train", preset.batch), ("valid", 1)):
        if len(streams[part]) < count * preset.context:
            raise TrainingError(
                f"{texts[part].name} is too small: {len(streams[part]):,} tokens, where "
                f"{count} rows of {preset.context} are the least"
            )
    files.write(work / "tokenizer.json", tokenizer.to_str(pretty=True).encode())
    for part, stream in streams.items():
        files.write(work / f"{part}.npy", _npy(stream))
    _write_kinds(work, texts)
    files.write_json(work / "sources.json", _sources(texts))


def _write_kinds(work: Path, texts: dict[str, corpus.Corpus]) -> None:
    for part, text in texts.items():
        files.write(_kinds_file(work, part), _npy(np.array([corpus.kind(d) for d in text.documents], dtype=np.uint8)))


def _kinds_file(work: Path, part: str) -> Path:
    return work / f"{part}_kinds.npy"


def _sources(texts: dict[str, corpus.Corpus]) -> dict[str, dict[str, str]]:
    return {part: {"file": text.name, "sha256": text.sha256} for part, text in texts.items()}


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _read(preset: Preset, work: Path) -> Prepared:
    try:
        train, valid = (Rows(np.load(work / f"{part}.npy"), preset.context) for part in ("train", "valid"))
        kinds = {
            part: row_kinds(rows.stream, np.load(_kinds_file(work, part)), preset.context)
            for part, rows in (("train", train), ("valid", valid))
        }
        sources = json.loads((work / "sources.json").read_text("utf-8"))
        tokenizer = work / "tokenizer.json"
        entries = Tokenizer.from_file(str(tokenizer)).get_vocab_size()
    except Exception as error:  # the tokenizer's library raises bare Exception
        raise TrainingError(f"what was prepared in {work} is damaged ({error}); remove the folder") from error
    if entries != preset.vocab_size:
        raise TrainingError(f"{work} holds a tokenizer of {entries:,} entries, not {preset.vocab_size:,}; remove it")
    mixed = Mixed(train.stream, train.context, kinds["train"], preset.mix) if preset.mix else train
    return Prepared(mixed, valid, kinds["valid"], tokenizer, sources)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone with this file until the block ends; others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether nobody else holds this file; if so, it is held until the block ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
