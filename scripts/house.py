"""The state of the house as a table: files per folder, lengths of functions, import cycles, docstrings, lines of code.

python scripts/house.py           # print it
python scripts/house.py --write   # put it into ARCHITECTURE.md, between its two marks
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- house -->", "<!-- /house -->"
CODE = (".py", ".js", ".css")
Functions = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    """Prints the table, or writes it where ARCHITECTURE.md has its marks."""
    table = markdown(tracked())
    if "--write" not in sys.argv:
        print(table)
        return
    file = ROOT / "ARCHITECTURE.md"
    before, rest = file.read_text("utf-8").split(START)
    file.write_text(f"{before}{START}\n{table}\n{END}{rest.split(END)[1]}", "utf-8")


def tracked() -> list[Path]:
    """Files of code that git tracks, the tests left out."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [Path(name) for name in names if name.endswith(CODE) and not name.startswith("tests/")]


def markdown(files: list[Path]) -> str:
    """One row a measure, with its bound."""
    trees = {file: ast.parse((ROOT / file).read_text("utf-8")) for file in files if file.suffix == ".py"}
    lengths = sorted(node.end_lineno - node.lineno + 1 for tree in trees.values() for node in functions(tree))
    folder, most = Counter(str(file.parent) for file in trees if file.parent != Path()).most_common(1)[0]
    bare = [name for file, tree in trees.items() for name in undocumented(tree) if held(file)]
    lines = sum(len((ROOT / file).read_text("utf-8").splitlines()) for file in files)
    rows = [
        ("Python files in the fullest folder", f"{most} ({folder})", "12"),
        ("functions: number, median lines", f"{len(lengths):,}, {median(lengths):.0f}", "7"),
        ("... nine in ten have at most", f"{quantiles(lengths, n=10)[-1]:.0f}", "20"),
        ("... the longest has", str(lengths[-1]), "60"),
        ("import cycles", "0" if cycle(trees) is None else " -> ".join(cycle(trees) or []), "0"),
        ("public names of core and viz/figures without a docstring", str(len(bare)), "0"),
        ("lines of code (Python, JavaScript, CSS) outside the tests", f"{lines:,}", ""),
    ]
    return "\n".join(["| measure | now | bound |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


def functions(tree: ast.AST) -> Iterator[Functions]:
    """Every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Functions))


def held(file: Path) -> bool:
    """Whether the public names of a file must have docstrings."""
    return file.parts[0] in ("core", "headlight") or file.parts[:2] == ("viz", "figures")


def undocumented(tree: ast.Module) -> list[str]:
    """Public functions and classes of a module, and public methods, that have no docstring."""
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    nodes = [node for scope in scopes for node in scope.body if isinstance(node, (*Functions.__args__, ast.ClassDef))]
    return [node.name for node in nodes if not node.name.startswith("_") and not ast.get_docstring(node)]


def cycle(trees: dict[Path, ast.Module]) -> list[str] | None:
    """Modules that import each other in a circle, None where there is none."""
    modules = {module(file): tree for file, tree in trees.items()}
    graph = {name: {i for i in imports(tree) if i in modules and i != name} for name, tree in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def module(file: Path) -> str:
    """A file's name as a module."""
    name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    return f"headlight.{name}" if file.parts[0] in ("core", "viz") else name


def imports(node: ast.AST) -> Iterator[str]:
    """What a module imports when it runs: not what stands under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom):
            yield from (str(child.module), *(f"{child.module}.{alias.name}" for alias in child.names))
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        yield from imports(child)


if __name__ == "__main__":
    main()
