"""The house rules: who may import whom, no cycles, one place for caches, every registry row real."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib import import_module
from inspect import isabstract, isclass
from pathlib import Path

import pytest
from headlight.core.attention import Attention
from headlight.core.positions import Position
from headlight.core.registry import ATTENTION, MODELS, POSITIONS

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("core", "viz", "tests", "benchmarks")

# Files (a folder stands for all in it) -> packages that they never import.
FORBIDDEN = {
    "core": {"streamlit", "plotly", "viz", "training", "tests", "benchmarks"},
    "viz/figures": {"streamlit", "torch"},
    "viz/text.py": {"streamlit", "torch", "plotly"},
    "viz/ui/link.py": {"streamlit", "torch", "plotly"},
    "viz/theme.py": {"streamlit", "torch"},
    "viz/pages": {"torch", "numpy", "plotly"},
    "viz/components": {"torch"},
    "viz": {"transformers", "tests", "benchmarks"},
    "app.py": {"torch", "numpy", "transformers", "tests"},
}


def _files(place: str = "") -> list[Path]:
    if place.endswith(".py"):
        return [ROOT / place]
    roots = [ROOT / place] if place else [ROOT / room for room in ROOMS]
    return sorted(path for root in roots for path in root.rglob("*.py")) + ([] if place else [ROOT / "app.py"])


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that can run: what stands under `if TYPE_CHECKING:` cannot."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _running(child)


def _imports(path: Path, nodes: Iterator[ast.AST] | None = None) -> set[str]:
    """Dotted names that a file imports; `from a import b` counts as a and as a.b."""
    found: set[str] = set()
    for node in nodes or ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)} imports relatively; the house writes full names"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix("headlight.") for name in found}


@pytest.mark.parametrize("place", FORBIDDEN)
def test_no_room_imports_what_it_may_not(place):
    assert _files(place), f"{place} is gone: mend the table"
    for path in _files(place):
        crossed = {name.partition(".")[0] for name in _imports(path, _running(_tree(path)))} & FORBIDDEN[place]
        assert not crossed, f"{_name(path)} imports {', '.join(crossed)}"


def test_optional_packages_are_imported_by_the_hub_room_alone_and_only_when_used():
    for path in _files("core"):
        whole, at_once = (
            {name.partition(".")[0] for name in _imports(path, nodes)} & {"transformers", "huggingface_hub"}
            for nodes in (None, iter(_tree(path).body))
        )
        assert not at_once, f"{_name(path)} imports {', '.join(at_once)} as soon as it is imported"
        assert not whole or path.parent.name == "hub", f"{_name(path)} imports {', '.join(whole)}"


def test_ray_is_imported_by_the_computing_servers_alone_and_only_when_used():
    for path in _files("core") + _files("viz"):
        whole, at_once = (
            {name.partition(".")[0] for name in _imports(path, nodes)} & {"ray", "starlette"}
            for nodes in (None, iter(_tree(path).body))
        )
        if path.is_relative_to(ROOT / "core"):
            assert not whole or path == ROOT / "core/serving/compute/ray_serve.py", (
                f"{_name(path)} imports {', '.join(whole)}"
            )
            assert not at_once, f"{_name(path)} imports {', '.join(at_once)} as soon as it is imported"
        assert "ray" not in whole or path == ROOT / "core/serving/compute/ray_serve.py"


def test_no_import_goes_round_in_a_circle():
    modules = {_name(path): path for path in _files()}
    edges = {name: (_imports(path, _running(_tree(path))) & modules.keys()) - {name} for name, path in modules.items()}
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in sorted(edges[name]):
                walk(other, (*way, name))
            done.add(name)

    for name in modules:
        walk(name, ())


def test_core_keeps_caches_in_its_serving_room_alone():
    for path in _files("core"):
        if path.is_relative_to(ROOT / "core/serving"):
            continue
        kept = {name for name in _imports(path) if re.search(r"functools\.(lru_)?cache|cachetools", name)}
        assert not kept, f"{_name(path)} imports {', '.join(kept)}"


def test_only_the_store_uses_streamlits_caches():
    users = {
        _name(path)
        for path in _files("viz") + _files("app.py")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute | ast.alias)
        and (node.attr if isinstance(node, ast.Attribute) else node.name) in ("cache_data", "cache_resource")
    }
    assert users == {"viz.store"}


def test_every_row_of_every_registry_is_what_its_table_says():
    assert all(issubclass(kind, Attention) and fields(kind) for kind in ATTENTION.values())
    assert all(issubclass(kind, Position) for kind in POSITIONS.values())
    for row in MODELS.values():
        assert callable(row.load)
        assert row.title and row.about
        assert row.attention in ATTENTION and row.position in POSITIONS
        assert row.folder or row.package in (ROOT / "requirements-models.txt").read_text()


@pytest.mark.parametrize(
    ("folder", "base", "table"), [("attention", Attention, ATTENTION), ("positions", Position, POSITIONS)]
)
def test_every_variant_and_encoding_has_a_row(folder, base, table):
    modules = [import_module(f"headlight.{_name(path)}") for path in _files(f"core/{folder}")]
    kinds = {kind for module in modules for kind in vars(module).values() if isclass(kind) and issubclass(kind, base)}
    assert {kind for kind in kinds if not isabstract(kind)} == set(table.values())


@pytest.mark.parametrize("path", _files("core") + _files("viz") + _files("app.py"), ids=_name)
def test_every_file_says_what_it_is(path):
    assert ast.get_docstring(_tree(path)), f"{_name(path)} has no docstring"


@pytest.mark.parametrize("path", _files("core") + _files("viz/figures"), ids=_name)
def test_every_public_function_and_class_has_a_docstring(path):
    bare = [
        node.name
        for scope in [_tree(path), *(node for node in _tree(path).body if isinstance(node, ast.ClassDef))]
        for node in scope.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not bare, f"{_name(path)}: {', '.join(bare)}"


def test_nothing_reaches_outside_the_checkout():
    outside = re.compile("|".join((r"\.\./" + r"shared\b(?!\.js)", "/work" + "/")))
    texts = [*_files(), *(ROOT / "viz").rglob("*.js"), *(ROOT / "assets").rglob("*.json"), ROOT / "Makefile"]
    assert [str(path) for path in texts if outside.search(path.read_text("utf-8"))] == []


def test_no_file_asserts_outside_the_tests():
    users = [_name(path) for path in _files("core") + _files("viz") + _files("app.py")
             if any(isinstance(node, ast.Assert) for node in ast.walk(_tree(path)))]  # fmt: skip
    assert users == []
