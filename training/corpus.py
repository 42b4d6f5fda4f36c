"""The corpus: any UTF-8 text, plain or .xz, its documents separated by a line `<|endoftext|>`."""

from __future__ import annotations

import hashlib
import lzma
from dataclasses import dataclass
from pathlib import Path

from headlight.core.errors import TrainingError

SEPARATOR = "<|endoftext|>"


@dataclass(frozen=True)
class Corpus:
    """name: of the file; sha256: of the unpacked bytes; documents: texts without blanks at either end, none empty."""

    name: str
    sha256: str
    documents: tuple[str, ...]


def read(path: Path) -> Corpus:
    """The corpus in a file; raises TrainingError if it is missing, damaged, not UTF-8 or empty."""
    data = _unpacked(path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path.name} is not UTF-8: byte {data[error.start]:#04x} at {error.start:,}") from error
    documents = tuple(part.strip() for part in text.replace("\r\n", "\n").split(SEPARATOR) if part.strip())
    if not documents:
        raise TrainingError(f"{path.name} is empty; a corpus is a text of some megabytes")
    return Corpus(path.name, hashlib.sha256(data).hexdigest(), documents)


def _unpacked(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return lzma.decompress(data) if path.suffix == ".xz" else data
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise TrainingError(f"the corpus {path} cannot be read: {error}") from error
