"""Files and long texts: whatever is opened becomes text or one sentence; examples are there; cuts fall between words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headlight import load_model
from headlight.core.errors import InputError
from headlight.core.long import document
from headlight.core.long.document import MOST_BYTES, cut, decode, long_texts
from headlight.core.model import Model

WORDS = "Grüße, „schöne“ Welt – naïve café\n" * 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_text_is_read_in_any_usual_encoding(encoding: str) -> None:
    text, note = decode(WORDS.encode(encoding))
    assert text == WORDS
    assert (note is None) == (encoding != "cp1252")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "story.txt is empty"),
        (b" \n\t ", "story.txt holds nothing but blanks"),
        (b"%PDF-1.7 \x00\x01", "is a PDF, not plain text"),
        (b"PK\x03\x04word/document.xml", "Word, EPUB or ZIP"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\x1f\x8b\x08" + bytes(100), "a compressed file"),
        (bytes(range(256)) * 20, "control characters"),
        (b"\x00" * 1000, "control characters"),
        (b"a" * (MOST_BYTES + 1), "5.2 MB are the limit here"),
        (b"a" * 100_000_000, "has 100.0 MB; 5.2 MB are the limit here"),
    ],
)
def test_what_is_no_text_is_refused_by_name(raw: bytes, says: str) -> None:
    with pytest.raises(InputError) as refused:
        decode(raw, "story.txt")
    assert says in str(refused.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_one_sentence(raw: bytes) -> None:
    try:
        text, _ = decode(raw)
    except InputError:
        return
    assert text.strip() and "\r" not in text


def test_line_ends_of_other_systems_become_ours() -> None:
    assert decode(b"a\r\nb\rc\nd")[0] == "a\nb\nc\nd"


@pytest.mark.parametrize("most", [3, 4, 5, 17, 40])
def test_a_cut_text_begins_the_whole_one_and_ends_with_a_word(most: int, minilm: Model) -> None:
    text = "Uncharacteristically, grandmother's extraordinarily incomprehensible thermometer broke. " * 3
    for model in (minilm, load_model("gqa-rope", "cpu")):
        tokens, whole = cut(model.tokenizer, text, most)
        assert 0 < len(tokens) <= most < whole == len(model.tokenizer.encode(text))
        assert text.startswith(tokens.text)
        end = len(tokens.text)
        assert not (text[end].isalnum() and text[end - 1].isalnum()) or " " not in tokens.text.strip()


def test_a_text_that_fits_is_not_cut(minilm: Model) -> None:
    tokens, whole = cut(minilm.tokenizer, "A dog.", 5)
    assert tokens.text == "A dog." and len(tokens) == whole == 5


def test_too_little_room_for_any_word_is_said(minilm: Model) -> None:
    with pytest.raises(InputError, match="2 tokens are too few for any text"):
        cut(minilm.tokenizer, "A dog.", 2)


@given(st.text(min_size=1, max_size=120), st.integers(3, 30))
def test_any_text_can_be_cut_or_has_nothing_to_read(text: str, most: int) -> None:
    tokenizer = load_model("gqa-rope", "cpu").tokenizer
    try:
        tokens, whole = cut(tokenizer, text, most)
    except InputError:
        return
    assert len(tokens) <= most and len(tokens) <= whole


def test_the_examples_are_long_and_have_a_source() -> None:
    texts = {each.name: each for each in long_texts()}
    tokenizer = load_model("smollm2", "cpu").tokenizer
    lengths = {name: len(tokenizer.encode(each.text)) for name, each in texts.items()}
    assert lengths == {"giant": 2040, "prince": 4627, "carol": 8190, "again": 2046}
    for each in texts.values():
        assert each.source and each.title
    passage, again = document.FOLDER / "the-selfish-giant.txt", texts["again"].text
    first = again[: (len(again) - 6) // 4]
    assert again == "\n\n".join([first] * 4) and passage.read_text("utf-8").startswith(first)
