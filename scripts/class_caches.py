"""docs/kv-classes.md: every class of transformers that generates text: our reading beside the cache that it builds.

    python scripts/class_caches.py build/configs.jsonl build/caches.jsonl

and tests/core/memory/data/classes.json.gz: each file that was compared, with the numbers kept at CONTEXTS, for a test.

Both come from scripts/transformers_caches.py. Each class is read twice: as the file that it saves, and as one that names
the class and the number of layers and leaves everything else to it. Needs neither transformers nor torch.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headlight.core.errors import HeadlightError
from headlight.core.memory.config.defaults import table
from headlight.core.memory.config.fields import LAYERS
from headlight.core.memory.config.hf_config import ParsedConfig, read_config
from headlight.core.memory.sizes import elements_at

TOP = Path(__file__).resolve().parents[1]
TABLE, CHECKED = TOP / "docs/kv-classes.md", TOP / "tests/core/memory/data/classes.json.gz"
CONTEXTS = (100, 3000, 40_000, 500_000)
MEANING = {
    "equal": "the same numbers at 100, 3,000, 40,000 and 500,000 tokens",
    "refused": "refused in a sentence",
    "named": "not the same, or nothing to compare with, and a note or a field that was not understood says so",
    "read": "read without a note; transformers' class could not be built or run on the meta device, so nothing was compared",
    "no defaults": "the class cannot be made without arguments",
    "WRONG": "not the same, and nothing says so",
}


def main(configs: Path, caches: Path) -> int:
    """Writes the table; the exit code says whether a class is read wrongly without a note."""
    files = {row["model_type"]: row for row in map(json.loads, configs.read_text().splitlines())}
    built = {row["model_type"]: row for row in map(json.loads, caches.read_text().splitlines())}
    rows = [(name, *outcomes(files[name], row)) for name, row in sorted(built.items())]
    TABLE.write_text(page(rows))
    truths = [[name, files[name]["config"], truth] for name, row in sorted(built.items()) if (truth := counted(row))]
    CHECKED.write_bytes(gzip.compress(json.dumps(truths, separators=(",", ":")).encode(), mtime=0))
    print(Counter(row[1] for row in rows), Counter(row[2] for row in rows))
    return int(any("WRONG" in row for row in rows))


def outcomes(file: Mapping[str, Any], built: Mapping[str, Any]) -> tuple[str, str, str]:
    """What came of the file in full, of the one that leaves everything to its class, and why.

    A class made of parts leaves nothing to itself: its text's part is a class of its own.
    """
    if "config" not in file:
        return "no defaults", "no defaults", file["error"]
    full, why = outcome(file["config"], built)
    if file["text"]:
        return full, "a part's", why
    bare, other = outcome(left_to_class(file), built)
    return full, bare, why if why == other or not other else f"{why} · bare: {other}" if why else f"bare: {other}"


def left_to_class(file: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest file that names the class."""
    return {"model_type": file["model_type"]} | depth(file["config"])


def depth(config: Mapping[str, Any]) -> dict[str, Any]:
    """The number of layers, as the class calls it."""
    return {name: config[name] for name in LAYERS if config.get(name) is not None}


def outcome(config: Mapping[str, Any], built: Mapping[str, Any]) -> tuple[str, str]:
    """One of MEANING, and the sentence."""
    try:
        reading = read_config(json.dumps(config))
    except HeadlightError as error:
        return "refused", str(error)
    said = "; ".join([*map(needed, notes_of(reading)), *(f"not understood: {name}" for name in reading.unread)])
    truth = counted(built)
    if truth is None:
        return ("named" if said else "read"), said or built.get("error", "no cache layers")[:90]
    ours = [elements_at(reading.shape, n) for n in CONTEXTS]
    if ours == truth:
        return "equal", ""
    return ("named" if said else "WRONG"), said or f"{ours[1]:,} here, {truth[1]:,} there"


def needed(note: str) -> str:
    """A note without what is the same for every class."""
    return note.removesuffix(f" (transformers {table()['transformers']}).")


def notes_of(reading: ParsedConfig) -> list[str]:
    """The notes that are about the numbers of a cache, not about where they stand."""
    return [note for note in reading.notes if not note.startswith(("Read from its part", "Its precision is not"))]


def counted(built: Mapping[str, Any]) -> list[int] | None:
    """Numbers kept at CONTEXTS by the cache that transformers builds; None where it could not be built."""
    layers = built.get("layers") or []
    if not any("keys" in layer for layer in layers):
        return None
    return [sum(kept(layer, n) for layer in layers) for n in CONTEXTS]


def kept(layer: Mapping[str, Any], context: int) -> int:
    """What one layer keeps: its row, for all tokens or those of its window."""
    shapes = [layer[name] for name in (("keys",) if layer.get("one") else ("keys", "values")) if name in layer]
    row = sum(numbers(shape) for shape in shapes)
    return row * min(context, layer.get("sliding_window", context))


def numbers(shape: Iterable[int]) -> int:
    """Numbers a token: heads x width of (batch, heads, tokens, width)."""
    batch, heads, _, width = shape
    return batch * heads * width


def page(rows: list[tuple[str, str, str, str]]) -> str:
    """The page."""
    full, bare = Counter(row[1] for row in rows), Counter(row[2] for row in rows)
    lines = [
        "# Every transformers class, read from its config.json", "",
        f"Made by `scripts/class_caches.py` with transformers {table()['transformers']}: {len(rows)} classes that generate",
        "text, each as the file it saves, and as a file that leaves all but the number of layers to its class, against the",
        "cache that the class builds on the meta device.", "", "| | saved | left to the class | |", "|---|---|---|---|",
        *(f"| {name} | {full[name]} | {bare[name]} | {why} |" for name, why in MEANING.items()), "",
        "| class | saved | left to the class | what is said |", "|---|---|---|---|",
        *(f"| {name} | {one} | {two} | {clean(why)} |" for name, one, two, why in rows), "",
    ]  # fmt: skip
    return "\n".join(lines)


def clean(text: str) -> str:
    """A sentence as a cell of a table."""
    return text.replace("|", "/")[:300]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
