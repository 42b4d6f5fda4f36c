"""The house rules that no checker holds: import-linter and ruff hold the others (pyproject.toml, `make check`)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from inspect import isabstract, isclass
from pathlib import Path

from headlight.core.attention import Attention
from headlight.core.positions import Position
from headlight.core.registry import ATTENTION, MODELS, POSITIONS

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("core", "viz", "tests", "benchmarks")


def _files(*places: str) -> list[Path]:
    return sorted(path for place in places for path in (ROOT / place).rglob("*.py"))


TREES = {path: ast.parse(path.read_text("utf-8")) for path in [*_files(*ROOMS), ROOT / "app.py"]}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that can run: what stands under `if TYPE_CHECKING:` cannot."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _running(child)


def _imports(path: Path) -> set[str]:
    """Dotted names that a file imports when it runs; `from a import b` counts as a and as a.b."""
    found: set[str] = set()
    for node in _running(TREES[path]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix("headlight.") for name in found}


def test_no_import_goes_round_in_a_circle() -> None:
    # import-linter compares folders beside each other, of the package alone; here every module, tests included.
    modules = {_name(path): path for path in TREES}
    edges = {name: (_imports(path) & modules.keys()) - {name} for name, path in modules.items()}
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in sorted(edges[name]):
                walk(other, (*way, name))
            done.add(name)

    for name in modules:
        walk(name, ())


def test_the_app_starts_without_what_takes_long_to_import() -> None:
    # app.py lies outside the package, where import-linter does not look.
    assert not {name.partition(".")[0] for name in _imports(ROOT / "app.py")} & {
        "torch",
        "numpy",
        "transformers",
        "tests",
    }


def test_every_row_of_every_registry_is_what_its_table_says() -> None:
    assert all(issubclass(kind, Attention) and fields(kind) for kind in ATTENTION.values())
    assert all(issubclass(kind, Position) for kind in POSITIONS.values())
    for row in MODELS.values():
        assert callable(row.load)
        assert row.title and row.about
        assert row.attention in ATTENTION and row.position in POSITIONS
        assert row.folder or row.package in (ROOT / "requirements-models.txt").read_text()


def test_every_variant_and_encoding_has_a_row() -> None:
    for folder, base, table in (("attention", Attention, ATTENTION), ("positions", Position, POSITIONS)):
        modules = [import_module(f"headlight.{_name(path)}") for path in _files(f"core/{folder}")]
        kinds = {
            kind for module in modules for kind in vars(module).values() if isclass(kind) and issubclass(kind, base)
        }
        assert {kind for kind in kinds if not isabstract(kind)} == set(table.values())


def test_nothing_reaches_outside_the_checkout() -> None:
    outside = re.compile("|".join((r"\.\./" + r"shared\b(?!\.js)", "/work" + "/")))
    texts = [*TREES, *(ROOT / "viz").rglob("*.js"), *(ROOT / "assets").rglob("*.json"), ROOT / "Makefile"]
    assert [str(path) for path in texts if outside.search(path.read_text("utf-8"))] == []
