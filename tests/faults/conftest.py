"""A disk of its own, small enough to fill or mounted so that nobody may write; a SmolLM2 small enough to be converted often."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from headlight.core.checkpoints import pretrained
from tests.core.checkpoints import tiny_llama


def mount(folder: Path, options: str) -> None:
    """A filesystem in memory there; skips the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no filesystem can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 KiB, of which four are left."""
    folder = tmp_path / "full"
    mount(folder, "size=64k")
    try:
        (folder / "filler").write_bytes(b"x" * (60 * 1024))
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that cannot be written to, not even by root."""
    folder = tmp_path / "read-only"
    mount(folder, "ro")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_smollm2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """SmolLM2's package replaced by a tiny GGUF file, and a cache folder of its own; returns where the copy will be kept."""
    source = tiny_llama.write(tmp_path / "tiny.gguf", tiny_llama.tensors())
    monkeypatch.setattr(pretrained, "find_file", lambda package, suffix: source)
    monkeypatch.setattr(pretrained, "installed_version", lambda package: "9.9")
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "smollm2-9.9-1"


def temporary_folders(inside: Path) -> list[str]:
    """What is in a folder, but for the copy itself."""
    return [name for name in os.listdir(inside) if not name.endswith("-1")]
