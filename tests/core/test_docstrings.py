"""The examples in core's docstrings are true; that every public name has a docstring is ruff's to say (D100 to D106)."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from headlight.core.attention import GQA, MHA, MLA, MQA, Decoupled, Latent
from headlight.core.positions import ALiBi, RoPE, Sinusoidal

CORE = Path(__file__).resolve().parents[2] / "core"
FOLDERS: dict[str, list[Path]] = {}
for _path in sorted(CORE.rglob("*.py")):
    if ">>> " in _path.read_text("utf-8"):
        FOLDERS.setdefault(str(_path.parent.relative_to(CORE)), []).append(_path)
LESSONS = {MHA, GQA, MQA, MLA, Latent, Decoupled, RoPE, Sinusoidal, ALiBi}


def _module(path: Path) -> str:
    return ".".join(("headlight", *path.relative_to(CORE.parent).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("folder", FOLDERS)
def test_examples_in_docstrings_give_what_they_say(folder: str) -> None:
    results = {path.name: doctest.testmod(importlib.import_module(_module(path))) for path in FOLDERS[folder]}
    assert {name: result.failed for name, result in results.items() if result.failed} == {}
    assert all(result.attempted for result in results.values())


def test_every_variant_and_encoding_shows_an_example() -> None:
    for kind in LESSONS:
        assert ">>> " in (kind.__doc__ or ""), f"{kind.__name__} shows no example"
