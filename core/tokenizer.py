"""Text -> Tokens, through the `tokenizers` library and its character offsets."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Encoding
from tokenizers import Tokenizer as Encoder

from headlight.core.errors import CheckpointError, InputError
from headlight.core.types import Tokens

Span = tuple[int, int]


class Tokenizer:
    """A model's own tokenizer, without the truncation and padding that its file may ask for."""

    def __init__(self, encoder: Encoder) -> None:
        encoder.no_truncation()
        encoder.no_padding()
        self._encoder = encoder

    @classmethod
    def from_file(cls, path: Path) -> Tokenizer:
        """Reads a tokenizer.json; raises CheckpointError if it is none."""
        try:
            return cls(Encoder.from_file(str(path)))
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{path.name} is no readable tokenizer: {error}") from error

    @property
    def size(self) -> int:
        """Entries of the vocabulary, added tokens included: one more than the highest id."""
        return max(self._encoder.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def encode(self, text: str) -> Tokens:
        """The tokens of a text, each with its place in it; raises InputError if nothing is left to read."""
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        encoding = self._encoder.encode(text)
        tokens = _tokens(text, encoding)
        if all(tokens.special):
            raise InputError("there is nothing to read in this text: type at least one word")
        return tokens

    def decode(self, ids: list[int]) -> str:
        """The text of some tokens, special ones left out."""
        return str(self._encoder.decode(ids))


def _tokens(text: str, encoding: Encoding) -> Tokens:
    spans = tuple((start, end) for start, end in encoding.offsets)
    special = tuple(start == end for start, end in spans)
    names = zip(encoding.tokens, _pieces(text, spans), special, strict=True)
    pieces = tuple(name if is_special else piece for name, piece, is_special in names)
    return Tokens(text, tuple(encoding.ids), pieces, spans, special)


def _pieces(text: str, spans: tuple[Span, ...]) -> list[str]:
    # A byte-level tokenizer may split one character over several tokens; their spans then overlap.
    pieces: list[str] = []
    for run in _overlapping(spans):
        for number, (start, end) in enumerate(run, start=1):
            part = f"[{number}/{len(run)}]" if len(run) > 1 else ""
            pieces.append(text[start:end] + part)
    return pieces


def _overlapping(spans: tuple[Span, ...]) -> list[list[Span]]:
    runs: list[list[Span]] = []
    for span in spans:
        touches = bool(runs) and span[0] < runs[-1][-1][1] and span[1] > span[0]
        if touches:
            runs[-1].append(span)
        else:
            runs.append([span])
    return runs
