"""What the docstrings of core promise: every public name has one, and the examples in them are true."""

from __future__ import annotations

import ast
import doctest
import importlib
from pathlib import Path

import pytest
from headlight.core.attention import GQA, MHA, MLA, MQA, Decoupled, Latent
from headlight.core.positions import ALiBi, RoPE, Sinusoidal

CORE = Path(__file__).resolve().parents[2] / "core"
MODULES = sorted(
    ".".join(path.relative_to(CORE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in CORE.rglob("*.py")
)
LESSONS = {MHA, GQA, MQA, MLA, Latent, Decoupled, RoPE, Sinusoidal, ALiBi}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_give_what_they_say(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_every_variant_and_encoding_shows_an_example() -> None:
    for kind in LESSONS:
        assert ">>> " in (kind.__doc__ or ""), f"{kind.__name__} shows no example"


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_says_what_it_is(name: str) -> None:
    source = Path(str(importlib.import_module(name).__file__)).read_text("utf-8")
    assert _silent(ast.parse(source)) == []


def _silent(node: ast.AST) -> list[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    public = [child for child in ast.iter_child_nodes(node) if isinstance(child, kinds) and child.name[0] != "_"]
    inside = [name for child in public if isinstance(child, ast.ClassDef) for name in _silent(child)]
    return [child.name for child in public if not ast.get_docstring(child)] + inside
