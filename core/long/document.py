"""Documents: bytes of a file made text, long texts cut to what a model reads, and the examples in assets/long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headlight.core import ASSETS
from headlight.core.errors import InputError
from headlight.core.settings import Uploads
from headlight.core.tokenizer import Tokenizer
from headlight.core.types import Tokens

FOLDER = ASSETS / "long"
MOST_BYTES = Uploads().text_bytes  # of a file, where nobody says otherwise

# How the files begin that people take for text most often.
_KINDS: Mapping[bytes, str] = {
    b"%PDF": "a PDF", b"PK\x03\x04": "a Word, EPUB or ZIP file", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture", b"\x1f\x8b": "a compressed file", b"\xd0\xcf\x11\xe0": "an Office file", b"\x7fELF": "a program",
}  # fmt: skip
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True)
class LongText:
    """An example.

    name: for links; title: for the menu; source: where the text comes from; spots: model -> layer and head to begin with.
    """

    name: str
    title: str
    text: str
    source: str
    spots: Mapping[str, tuple[int, int]]


def long_texts() -> list[LongText]:
    """The examples, the default one first; `times`: a passage that stands there again and again."""
    rows = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))
    return [
        LongText(row["name"], row["title"], _text(row), f"{row['author']}, {row['note']}", _spots(row)) for row in rows
    ]


def _text(row: Mapping[str, Any]) -> str:
    passage = (FOLDER / row["file"]).read_text(encoding="utf-8").strip()[: row.get("characters")]
    return "\n\n".join([passage.strip()] * row["times"])


def _spots(row: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    return {model: (layer, head) for model, (layer, head) in row["spots"].items()}


def decode(raw: bytes, name: str = "this file", most: int = MOST_BYTES) -> tuple[str, str | None]:
    """The text of a file, and a note where its encoding had to be guessed.

    UTF-8, UTF-16 with its mark, else Windows-1252, which most old Western files are. Raises InputError for a file that is
    empty, larger than `most` bytes or no text.
    """
    if not raw:
        raise InputError(f"{name} is empty")
    if len(raw) > most:
        raise InputError(f"{name} has {len(raw) / 1e6:,.1f} MB; {most / 1e6:.1f} MB are the limit here")
    kind = next((kind for start, kind in _KINDS.items() if raw.startswith(start)), None)
    if kind:
        raise InputError(f"{name} is {kind}, not plain text: save its text as .txt first")
    text, note = _decoded(raw)
    odd = sum(c < " " and c not in "\t\n\r\f" for c in text)
    if odd > len(text) / 200:
        raise InputError(f"{name} is no plain text: {odd:,} of its {len(text):,} characters are control characters")
    if not text.strip():
        raise InputError(f"{name} holds nothing but blanks")
    return text.replace("\r\n", "\n").replace("\r", "\n"), note


def _decoded(raw: bytes) -> tuple[str, str | None]:
    mark = next((encoding for start, encoding in _MARKS if raw.startswith(start)), "utf-8")
    try:
        return raw.decode(mark), None
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace"), "The file is not UTF-8; it was read as Windows-1252."


def cut(tokenizer: Tokenizer, text: str, most: int) -> tuple[Tokens, int]:
    """The tokens of the text's beginning, at most `most`, cut at the end of a word, and how many the whole text has.

    Raises InputError where there is nothing to read.

    >>> from headlight import load_model
    >>> tokens, whole = cut(load_model("gqa-rope", "cpu").tokenizer, "Once upon a time there was a king.", 6)
    >>> tokens.text, whole
    ('Once upon a time there', 10)
    """
    tokens = tokenizer.encode(text)
    whole = len(tokens)
    while len(tokens) > most:
        added = sum(tokens.special)
        last = [span for span, special in zip(tokens.spans, tokens.special, strict=True) if not special][: most - added]
        if not last:
            raise InputError(f"{most} tokens are too few for any text")
        end = last[-1][1]
        shorter = tokens.text[:end]
        at_word = (
            shorter.rsplit(None, 1)[0] if len(shorter.split()) > 1 and not _ends_word(tokens.text, end) else shorter
        )
        tokens = tokenizer.encode(at_word if at_word.strip() and len(at_word) < len(tokens.text) else shorter[:-1])
    return tokens, whole


def _ends_word(text: str, end: int) -> bool:
    return end >= len(text) or not (text[end].isalnum() and text[end - 1].isalnum())
