"""The corpus: any UTF-8 text, plain or .xz, its documents separated by a line `<|endoftext|>`."""

from __future__ import annotations

import hashlib
import lzma
from dataclasses import dataclass
from pathlib import Path

from headlight.core.errors import TrainingError

SEPARATOR = "<|endoftext|>"
KINDS = ("books", "stories", "sentences")
_BOOK = 30_000  # characters; the longest article or tale of our corpus has fewer, most chapters and books have more
_LIST = 12  # lines; our collections of sentences have 40 a document


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


def kind(document: str) -> int:
    """Index into KINDS, by form alone: a long text is a book; many lines without a blank one are unrelated sentences.

    On our corpus, whose sources are known, this is wrong for a few long fairy tales, which are called books.
    """
    if len(document) > _BOOK:
        return 0
    return 2 if document.count("\n") + 1 >= _LIST and "\n\n" not in document else 1


def _unpacked(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return lzma.decompress(data) if path.suffix == ".xz" else data
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise TrainingError(f"the corpus {path} cannot be read: {error}") from error
