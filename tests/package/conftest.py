"""The wheel, built once from what a clone would hold, and a folder that it is installed into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("headlight", "core", "viz", "assets", ".streamlit")
FILES = ("app.py", "VERSION", "README.md", "LICENSE", "pyproject.toml", "setup.py", "requirements-models.txt")


def copy(target: Path, *left_out: str) -> Path:
    """What the package is made from, in a folder of its own. left_out: names of files that do not come along."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__", *left_out))
    for file in set(FILES) - {*left_out}:
        shutil.copy(ROOT / file, target / file)
    return target


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints; fails with its errors."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, encoding="utf-8", timeout=280,
        check=False, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made as `pip install git+file://` makes it: pip clones, then does in the clone what `pip install .` does."""
    clone, target = copy(tmp_path_factory.mktemp("clone")), tmp_path_factory.mktemp("wheel")
    git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.org")
    run(*git, "init", "-q", cwd=clone)
    for quicker in (("core.compression", "0"), ("core.bigFileThreshold", "1m")):  # weights cannot be packed
        run(*git, "config", *quicker, cwd=clone)
    run(*git, "add", "-A", cwd=clone)
    run(*git, "commit", "-q", "-m", "All", cwd=clone)
    pip = (sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation")
    run(*pip, "-w", target, f"git+file://{clone}", cwd=target)
    (made,) = target.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that holds Headlight's alone."""
    target = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-compile", "--target")
    run(*pip, target, wheel, cwd=target)
    return target


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working directory with modules of its own that are called as our folders are."""
    for name in ("core", "viz", "assets", "app"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('this is another {name}')\n")
    return tmp_path
