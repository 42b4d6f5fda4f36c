"""What cannot be trained on is refused in one line, with exit status 2, and what is finished stays as it is."""

from __future__ import annotations

import errno
import lzma
import os

import pytest

from training import evaluate, files
from training.presets import PRESETS, Preset
from training.text.prepare import claimed


@pytest.fixture
def refused(capsys):
    """Checks that a status is 2 and that one line was printed; returns it."""

    def check(status: int) -> str:
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip() and "tok/s" not in line]
        assert status == 2 and len(lines) == 1 and lines[0].startswith("training: "), lines
        return lines[0]

    return check


def every_file(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "corpus.txt is empty"),
        (b" \n<|endoftext|>\n\n", "corpus.txt is empty"),
        (b"Once upon a time.", "corpus.txt is too small: it gives 2"),
        (b"Once upon a time " * 999 + b"\xff\xfe", "not UTF-8: byte 0xff at 16,983"),
    ],
)
def test_a_text_that_is_none_is_refused(content, told, conversions, refused):
    conversions.corpus.write_bytes(content)
    assert told in refused(conversions.run())
    assert not conversions.output.exists()


def test_a_text_with_too_few_tokens_for_a_row_is_refused(conversions, refused):
    conversions.valid.write_text("Once upon a time.", "utf-8")
    assert "valid.txt is too small" in refused(conversions.run())


def test_a_missing_or_damaged_corpus_is_refused(conversions, refused):
    packed = conversions.corpus.with_suffix(".xz")
    assert "cannot be read" in refused(conversions.run("--corpus", str(packed)))
    packed.write_bytes(lzma.compress(conversions.corpus.read_bytes())[:-40])
    assert "cannot be read" in refused(conversions.run("--corpus", str(packed)))


def test_one_text_without_the_other_is_refused(conversions, refused):
    arguments = ["--preset", "tiny", "--work", str(conversions.work)]
    from training import run

    assert "go together" in refused(run.main([*arguments, "--corpus", str(conversions.corpus)]))
    assert "name the texts" in refused(run.main(arguments))


def test_unknown_names_are_refused_with_those_there_are(conversions, refused):
    told = refused(conversions.run("--preset", "huge"))
    assert f"no preset is called 'huge'; there are {', '.join(PRESETS)}" in told
    assert "no sibling is called 'mha'" in refused(conversions.run("--only", "mha"))


def test_unfinished_work_is_not_trained_over_without_resume(conversions, refused):
    conversions.work.mkdir()
    (conversions.work / "mha-rope.pt").write_bytes(b"half")
    assert "add --resume" in refused(conversions.run())


@pytest.mark.parametrize("keep", [0, 10, 3000])
def test_a_damaged_checkpoint_is_named(keep, conversions, refused):
    conversions.run("--only", "gqa-none")
    before = every_file(conversions.output)
    whole = (conversions.work / "gqa-none.pt").read_bytes()
    (conversions.work / "mha-rope.pt").write_bytes(whole[:keep])
    line = refused(conversions.run("--resume"))
    assert "mha-rope.pt is damaged" in line and "remove it" in line
    assert every_file(conversions.output) == before


def test_a_checkpoint_of_another_run_is_refused(conversions, refused):
    conversions.run("--only", "gqa-none")
    (conversions.work / "gqa-none.pt").rename(conversions.work / "mha-rope.pt")
    assert "of another run" in refused(conversions.run("--resume"))


def test_prepared_tokens_that_are_damaged_are_refused(conversions, refused):
    conversions.run()
    (conversions.work / "train.npy").write_bytes(b"")
    assert "damaged" in refused(conversions.run("--resume"))


@pytest.mark.parametrize("full_at", ["train.npy", "mha-rope.pt", "model.safetensors"])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(full_at, conversions, refused, monkeypatch):
    conversions.run("--only", "gqa-none")
    before = every_file(conversions.output)
    if full_at == "train.npy":
        for file in conversions.work.iterdir():
            file.unlink()
    write = files.write

    def full(path, data):
        if path.name != full_at:
            return write(path, data)
        flush = os.fsync
        monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
        try:
            return write(path, data)
        finally:
            monkeypatch.setattr(os, "fsync", flush)

    monkeypatch.setattr(files, "write", full)
    assert "No space left" in refused(conversions.run())
    monkeypatch.setattr(files, "write", write)
    assert every_file(conversions.output) == before
    assert [path.name for path in conversions.folder.rglob(".*")] == []
    assert conversions.run("--resume") == 0, "with room again, the same command goes on"


def test_what_is_finished_is_not_touched_again(conversions):
    conversions.run()
    before = {path: path.stat().st_mtime_ns for path in (conversions.output / "mha-rope").iterdir()}
    assert conversions.run("--resume") == conversions.run() == 0
    assert {path: path.stat().st_mtime_ns for path in (conversions.output / "mha-rope").iterdir()} == before


def test_a_finished_sibling_of_another_run_is_not_taken_for_this_one(conversions, refused, monkeypatch):
    conversions.run()
    other = {**vars(PRESETS["tiny"]), "steps": 13}
    monkeypatch.setitem(PRESETS, "tiny", Preset(**other))
    assert "of another run" in refused(conversions.run("--resume"))


def test_a_sibling_that_another_process_trains_is_left_to_it(conversions, capsys):
    with claimed(conversions.work / "mha-rope.lock") as mine:
        assert mine and conversions.run() == 0
    assert "another process is at it" in capsys.readouterr().out
    assert not conversions.output.exists()


def test_siblings_of_another_tokenizer_are_not_evaluated(conversions, refused):
    conversions.run()
    (conversions.output / "tokenizer.json").write_text("{}")
    places = ["--work", str(conversions.work), "--output", str(conversions.output), "--coref", str(conversions.coref)]
    assert "another tokenizer" in refused(evaluate.main(["--preset", "tiny", "--only", "mha-rope", *places]))
