"""Corpus, tokenizer and rows."""

from __future__ import annotations

import hashlib
import lzma

import numpy as np
import pytest
from headlight.core.errors import TrainingError
from headlight.core.tokenizer import Tokenizer

from tests.training.texts import write_text
from training import corpus, tokens
from training.prepare import prepare
from training.presets import PRESETS
from training.tokens import START, Rows


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return corpus.read(write_text(tmp_path_factory.mktemp("text") / "text.txt"))


@pytest.fixture(scope="module")
def encoder(text):
    return tokens.learn_tokenizer(text, 300)


def test_a_packed_text_is_read_as_the_plain_one(tmp_path, text):
    plain = write_text(tmp_path / "text.txt").read_bytes()
    (tmp_path / "text.txt.xz").write_bytes(lzma.compress(plain))
    packed = corpus.read(tmp_path / "text.txt.xz")
    assert packed.documents == text.documents
    assert packed.sha256 == text.sha256 == hashlib.sha256(plain).hexdigest()


def test_documents_are_what_stands_between_the_separators(tmp_path):
    file = tmp_path / "text.txt"
    file.write_bytes("One.\r\nTwo.\r\n<|endoftext|>\r\n\n<|endoftext|>\nThrée.\n".encode())
    assert corpus.read(file).documents == ("One.\nTwo.", "Thrée.")


def test_the_tokenizer_loses_nothing_and_knows_every_byte(encoder):
    text = "Once upon a time 🦊\n\tzß—"
    ids = encoder.encode(text, add_special_tokens=False).ids
    assert encoder.decode(ids) == text and START not in ids


def test_every_text_opens_with_start_and_core_shows_it_as_special(encoder):
    read = Tokenizer(encoder).encode("The old king")
    assert read.ids[0] == START and read.special == (True, *(False,) * (len(read) - 1))
    assert read.pieces[0] == "<|endoftext|>"
    assert "".join(read.pieces[1:]) == "The old king"


def test_a_stream_is_the_documents_each_followed_by_start(encoder, text):
    stream = tokens.pack(encoder, text.documents)
    pieces = np.split(stream, np.flatnonzero(stream == START) + 1)
    assert len(pieces) == len(text.documents) + 1 and len(pieces[-1]) == 0
    assert tuple(encoder.decode(piece[:-1].tolist()) for piece in pieces[:-1]) == text.documents


def test_a_row_is_predicted_from_start_on():
    inputs, targets = Rows(np.arange(1, 24, dtype=np.uint16), 5).batch(np.array([1, 3]))
    assert targets.tolist() == [[6, 7, 8, 9, 10], [16, 17, 18, 19, 20]]
    assert inputs.tolist() == [[START, 6, 7, 8, 9], [START, 16, 17, 18, 19]]


def test_an_epoch_reads_every_row_once_and_the_next_in_another_order():
    rows = Rows(np.zeros(13 * 5, dtype=np.uint16), 5)
    epochs = [np.concatenate([rows.order(step, 2, seed=7) for step in range(e * 6, e * 6 + 6)]) for e in (0, 1)]
    assert [len(set(epoch.tolist())) for epoch in epochs] == [12, 12]
    assert epochs[0].tolist() != epochs[1].tolist()
    assert rows.order(3, 2, seed=7).tolist() == epochs[0][6:8].tolist() != rows.order(3, 2, seed=8).tolist()


def test_rows_at_even_distances_reach_from_end_to_end():
    rows = Rows(np.zeros(50, dtype=np.uint16), 5)
    assert rows.spread(4).tolist() == [0, 3, 6, 9] and rows.spread(99).tolist() == list(range(10))


def test_what_is_prepared_is_read_back_without_the_texts(workshop):
    first = prepare(PRESETS["tiny"], workshop.work, workshop.corpus, workshop.valid)
    workshop.corpus.unlink()
    again = prepare(PRESETS["tiny"], workshop.work, None, None)
    assert np.array_equal(first.train.stream, again.train.stream) and first.sources == again.sources


def test_tokens_of_another_corpus_are_not_mixed_in(workshop):
    prepare(PRESETS["tiny"], workshop.work, workshop.corpus, workshop.valid)
    write_text(workshop.corpus, seed=5)
    with pytest.raises(TrainingError, match="another corpus"):
        prepare(PRESETS["tiny"], workshop.work, workshop.corpus, workshop.valid)
