"""What the package asks for: ranges that admit what requirements*.txt pin, and all that the code imports."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BASE = PROJECT["dependencies"]
EXTRAS = PROJECT["optional-dependencies"]
OPTIONAL = {"transformers", "huggingface-hub", "ray", "starlette", "torch", "streamlit"}


def ranges(lines: list[str]) -> dict[str, Requirement]:
    """Name -> what is asked for; an extra of our own is left out."""
    asked = {canonicalize_name(each.name): each for each in map(Requirement, lines)}
    return {name: each for name, each in asked.items() if name != "headlight"}


def pins(name: str) -> dict[str, Requirement]:
    """Name -> pin of a requirements file, without the files that it names."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text("utf-8").splitlines()]
    return ranges([line for line in lines if line and not line.startswith("-r")])


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("requirements.txt", [*BASE, *EXTRAS["app"]]),
        ("requirements-hub.txt", EXTRAS["hub"]),
        ("requirements-ray.txt", EXTRAS["ray"]),
        ("requirements-dev.txt", EXTRAS["dev"]),
    ],
)
def test_every_pin_lies_in_its_range_and_every_range_has_a_pin(file: str, asked: list[str]) -> None:
    pinned, allowed = pins(file), ranges(asked)
    assert pinned.keys() == allowed.keys()
    for name, pin in pinned.items():
        (exact,) = pin.specifier
        assert exact.operator == "==" and allowed[name].specifier.contains(exact.version), (pin, allowed[name])


def test_what_the_benchmark_compares_with_is_pinned_within_its_range() -> None:
    pinned = pins("requirements-bench.txt")
    for name, asked in ranges(EXTRAS["bench"]).items():
        (exact,) = pinned[name].specifier
        assert asked.specifier.contains(exact.version)


def _imported(*places: str) -> Iterator[str]:
    """Distributions that the code below these places imports."""
    found = packages_distributions()
    for place in places:
        for path in [ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                for name in {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, "headlight"}:
                    yield from {canonicalize_name(each) for each in found.get(name, [])}


def test_what_core_and_the_figures_import_is_asked_for_without_any_extra() -> None:
    extras = ranges([*EXTRAS["hub"], *EXTRAS["ray"]]).keys() | {"starlette"}  # Ray Serve brings starlette
    assert set(_imported("core", "viz/figures", "viz/theme.py", "viz/text.py")) <= ranges(BASE).keys() | extras


def test_what_the_app_imports_is_asked_for_by_us_or_by_streamlit() -> None:
    asked = ranges([*BASE, *EXTRAS["app"]]).keys() | ranges(requires("streamlit") or []).keys()
    assert set(_imported("viz", "app.py", "headlight")) <= asked
