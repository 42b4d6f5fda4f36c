"""Corpus, tokenizer and rows."""

from __future__ import annotations

import hashlib
import lzma
from dataclasses import replace

import numpy as np
import pytest

from headlight.core.errors import TrainingError
from headlight.core.tokenizer import Tokenizer
from tests.training.texts import write_text
from training.presets import PRESETS
from training.text import corpus, tokens
from training.text.prepare import prepare
from training.text.tokens import START, Mixed, Rows, row_kinds


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


def test_what_is_prepared_is_read_back_without_the_texts(folder):
    first = prepare(PRESETS["tiny"], folder.work, folder.corpus, folder.valid)
    folder.corpus.unlink()
    again = prepare(PRESETS["tiny"], folder.work, None, None)
    assert np.array_equal(first.train.stream, again.train.stream) and first.sources == again.sources


def test_tokens_of_another_corpus_are_not_mixed_in(folder):
    prepare(PRESETS["tiny"], folder.work, folder.corpus, folder.valid)
    write_text(folder.corpus, seed=5)
    with pytest.raises(TrainingError, match="another corpus"):
        prepare(PRESETS["tiny"], folder.work, folder.corpus, folder.valid)


BOOKS, STORIES, SENTENCES = range(3)


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ("The ant went. " * 3000, BOOKS),
        ("The ant went.\n\nIt came.\n" * 30, STORIES),
        ("Once upon a time there was an ant.", STORIES),
        ("\n".join(["Tom sings."] * 40), SENTENCES),
    ],
)
def test_kinds_of_text_are_told_by_their_form(document, kind):
    assert corpus.kind(document) == kind


def test_a_row_is_of_the_kind_of_its_middle_token():
    stream = np.array([5, 5, START, 5, 5, 5, START, 5, 5, 5, START, 9], dtype=np.uint16)
    # Rows of 3: their middle tokens are at 1, 4, 7 and 10, the last of which ends the third document.
    assert row_kinds(stream, np.array([2, 0, 1], dtype=np.uint8), 3).tolist() == [2, 0, 1, 1]


KINDS = np.array([0] * 31 + [1] * 17 + [2] * 13, dtype=np.uint8)


def mixed(*weights: float) -> Mixed:
    return Mixed(np.zeros(61 * 5, dtype=np.uint16), 5, KINDS, weights)


def epoch(rows: Rows, steps: int, number: int = 0, batch: int = 3) -> np.ndarray:
    return np.concatenate([rows.order(number * steps + step, batch, seed=7) for step in range(steps)])


def test_a_mix_reads_each_kind_as_often_as_its_weight_says():
    read = epoch(mixed(0.5, 1.0, 3.0), (16 + 17 + 39) // 3)
    assert np.bincount(KINDS[read]).tolist() == [16, 17, 39]
    times = np.bincount(read, minlength=61)
    assert [set(times[kind == KINDS].tolist()) for kind in range(3)] == [{0, 1}, {1}, {3}]


def test_a_mix_follows_from_the_step_alone_and_differs_between_epochs():
    rows = mixed(0.5, 1.0, 3.0)
    assert rows.order(5, 3, seed=7).tolist() == epoch(mixed(0.5, 1.0, 3.0), 24)[15:18].tolist()
    first, second = (set(epoch(rows, 24, number)[KINDS[epoch(rows, 24, number)] == 0].tolist()) for number in (0, 1))
    assert first != second


def test_tokens_prepared_before_kinds_were_told_apart_get_them(folder):
    first = prepare(PRESETS["tiny"], folder.work, folder.corpus, folder.valid)
    for part in ("train", "valid"):
        (folder.work / f"{part}_kinds.npy").unlink()
    again = prepare(PRESETS["tiny"], folder.work, folder.corpus, folder.valid)
    assert again.valid_kinds.tolist() == first.valid_kinds.tolist() == [SENTENCES] * len(first.valid)


def test_a_preset_with_a_mix_reads_it(folder):
    preset = replace(PRESETS["tiny"], mix=(1.0, 1.0, 2.0))
    prepared = prepare(preset, folder.work, folder.corpus, folder.valid)
    assert isinstance(prepared.train, Mixed) and prepared.train.weights == (1.0, 1.0, 2.0)
