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
def test_a_text_that_is_none_is_refused(content, told, folder, refused):
    folder.corpus.write_bytes(content)
    assert told in refused(folder.run())
    assert not folder.output.exists()


def test_a_text_with_too_few_tokens_for_a_row_is_refused(folder, refused):
    folder.valid.write_text("Once upon a time.", "utf-8")
    assert "valid.txt is too small" in refused(folder.run())


def test_a_missing_or_damaged_corpus_is_refused(folder, refused):
    packed = folder.corpus.with_suffix(".xz")
    assert "cannot be read" in refused(folder.run("--corpus", str(packed)))
    packed.write_bytes(lzma.compress(folder.corpus.read_bytes())[:-40])
    assert "cannot be read" in refused(folder.run("--corpus", str(packed)))


def test_one_text_without_the_other_is_refused(folder, refused):
    arguments = ["--preset", "tiny", "--work", str(folder.work)]
    from training import run

    assert "go together" in refused(run.main([*arguments, "--corpus", str(folder.corpus)]))
    assert "name the texts" in refused(run.main(arguments))


def test_unknown_names_are_refused_with_those_there_are(folder, refused):
    told = refused(folder.run("--preset", "huge"))
    assert f"no preset is called 'huge'; there are {', '.join(PRESETS)}" in told
    assert "no sibling is called 'mha'" in refused(folder.run("--only", "mha"))


def test_unfinished_work_is_not_trained_over_without_resume(folder, refused):
    folder.work.mkdir()
    (folder.work / "mha-rope.pt").write_bytes(b"half")
    assert "add --resume" in refused(folder.run())


@pytest.mark.parametrize("keep", [0, 10, 3000])
def test_a_damaged_checkpoint_is_named(keep, folder, refused):
    folder.run("--only", "gqa-none")
    before = every_file(folder.output)
    whole = (folder.work / "gqa-none.pt").read_bytes()
    (folder.work / "mha-rope.pt").write_bytes(whole[:keep])
    line = refused(folder.run("--resume"))
    assert "mha-rope.pt is damaged" in line and "remove it" in line
    assert every_file(folder.output) == before


def test_a_checkpoint_of_another_run_is_refused(folder, refused):
    folder.run("--only", "gqa-none")
    (folder.work / "gqa-none.pt").rename(folder.work / "mha-rope.pt")
    assert "of another run" in refused(folder.run("--resume"))


def test_prepared_tokens_that_are_damaged_are_refused(folder, refused):
    folder.run()
    (folder.work / "train.npy").write_bytes(b"")
    assert "damaged" in refused(folder.run("--resume"))


@pytest.mark.parametrize("full_at", ["train.npy", "mha-rope.pt", "model.safetensors"])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(full_at, folder, refused, monkeypatch):
    folder.run("--only", "gqa-none")
    before = every_file(folder.output)
    if full_at == "train.npy":
        for file in folder.work.iterdir():
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
    assert "No space left" in refused(folder.run())
    monkeypatch.setattr(files, "write", write)
    assert every_file(folder.output) == before
    assert [path.name for path in folder.folder.rglob(".*")] == []
    assert folder.run("--resume") == 0, "with room again, the same command goes on"


def test_what_is_finished_is_not_touched_again(folder):
    folder.run()
    before = {path: path.stat().st_mtime_ns for path in (folder.output / "mha-rope").iterdir()}
    assert folder.run("--resume") == folder.run() == 0
    assert {path: path.stat().st_mtime_ns for path in (folder.output / "mha-rope").iterdir()} == before


def test_a_finished_sibling_of_another_run_is_not_taken_for_this_one(folder, refused, monkeypatch):
    folder.run()
    other = {**vars(PRESETS["tiny"]), "steps": 13}
    monkeypatch.setitem(PRESETS, "tiny", Preset(**other))
    assert "of another run" in refused(folder.run("--resume"))


def test_a_sibling_that_another_process_trains_is_left_to_it(folder, capsys):
    with claimed(folder.work / "mha-rope.lock") as mine:
        assert mine and folder.run() == 0
    assert "another process is at it" in capsys.readouterr().out
    assert not folder.output.exists()


def test_siblings_of_another_tokenizer_are_not_evaluated(folder, refused):
    folder.run()
    (folder.output / "tokenizer.json").write_text("{}")
    places = ["--work", str(folder.work), "--output", str(folder.output), "--coref", str(folder.coref)]
    assert "another tokenizer" in refused(evaluate.main(["--preset", "tiny", "--only", "mha-rope", *places]))
