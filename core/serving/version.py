"""Which Headlight this is: its file VERSION, and the commit where that is known."""

from __future__ import annotations

import os
import re
from pathlib import Path

from headlight.core import TOP


def version(root: Path = TOP) -> str:
    """The version, as the file VERSION has it: "1.2.0"."""
    return (root / "VERSION").read_text("utf-8").strip()


def commit(root: Path = TOP) -> str | None:
    """The commit that is running: HEADLIGHT_COMMIT (an image has no history), else what the checkout's HEAD names."""
    told = os.environ.get("HEADLIGHT_COMMIT", "").strip()
    return told if re.fullmatch(r"[0-9a-f]{7,64}", told) else _head(root / ".git")


def _head(git: Path) -> str | None:
    try:
        if git.is_file():  # a worktree: "gitdir: FOLDER"
            git = Path(git.read_text("utf-8").partition(":")[2].strip())
        head = (git / "HEAD").read_text("utf-8").strip()
        name = head.removeprefix("ref: ")
        return head if name == head else _reference(git, name)
    except OSError:
        return None


def _reference(git: Path, name: str) -> str | None:
    shared = git / "commondir"
    root = git / shared.read_text("utf-8").strip() if shared.exists() else git
    if (root / name).exists():
        return (root / name).read_text("utf-8").strip()
    packed = (root / "packed-refs").read_text("utf-8").splitlines()
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
