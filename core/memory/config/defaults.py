"""What a config.json leaves to its class: the defaults of every model_type that transformers knows, shipped as data.

assets/class_defaults.json is made by scripts/class_tables.py from transformers itself. A default is used only where a file
names its model_type and does not say the field, by any of its names; what was used is said in a note.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headlight.core import ASSETS
from headlight.core.memory.config.fields import HEAD_DIM, HEADS, LAYERS, WIDTH, WINDOW, names_of

PATH = ASSETS / "class_defaults.json"
MAX_LISTED = 10_000
# Other ways to say which layers have the window: where a file has one of them, the class's list has no say.
_PATTERNS = (
    "layer_types", "layers_block_type", "sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers",
    "full_attention_interval", "attn_layer_period", "attn_layer_offset", "no_rope_layer_interval", "no_rope_layers",
    "use_sliding_window", "max_window_layers", "hybrid_override_pattern", "attn_layer_indices", "full_attn_idxs",
    "block_types", "_block_types", "compress_ratios", "attention_types", "sliding_window_layout", "mb_per_layer",
)  # fmt: skip

_TABLE: dict[str, Any] = {}


def table() -> Mapping[str, Any]:
    """The data: "transformers" (its version) and "classes", by model_type. Read once."""
    if not _TABLE:
        _TABLE.update(json.loads(PATH.read_text(encoding="utf-8")))
    return _TABLE


def part(model_type: object) -> tuple[str, str | None]:
    """The name and the model_type of the part of a class that generates text; ("", None) where it has no parts."""
    row = _row(model_type)
    name, inner = row.get("part", ("", None))
    return name, inner


def left_out(values: Mapping[str, Any], model_type: object) -> dict[str, Any]:
    """The class's defaults of what a file does not say; null says that there is none.

    >>> left_out({"num_hidden_layers": 12, "sliding_window": 512}, "gemma3_text")["head_dim"]
    256
    """
    row = _row(model_type)
    n_layers = next((values[name] for name in LAYERS if isinstance(values.get(name), int)), row.get("n_layers"))
    said = {alias for name in values for alias in names_of(name)}
    found = {name: value for name, value in row.get("fields", {}).items() if name not in said}
    if not said.intersection(_PATTERNS) and isinstance(n_layers, int) and 0 < n_layers <= MAX_LISTED:
        found |= _lists(row, n_layers, said)
    found |= _derived(row, {**found, **values}, said)
    return {name: value for name, value in found.items() if not _needless(name, values)}


def _derived(row: Mapping[str, Any], values: Mapping[str, Any], said: set[str]) -> dict[str, int]:
    """Widths that are another factor of hidden_size / heads than one (Zamba's heads are twice as wide)."""
    width, heads = (next((values[n] for n in names if isinstance(values.get(n), int)), 0) for names in (WIDTH, HEADS))
    factors = row.get("factors", {}) if width and heads else {}
    found = {name: round(factor * width / heads) for name, factor in factors.items() if name not in said}
    times = {name: (values.get(of), by) for name, (of, by) in row.get("in_code", {}).items() if name not in said}
    return found | {name: many * by for name, (many, by) in times.items() if isinstance(many, int)}


def _needless(name: str, values: Mapping[str, Any]) -> bool:
    """A class's head_dim where the file has MLA, or its window where the file lists windows otherwise."""
    return (name in HEAD_DIM and "kv_lora_rank" in values) or (name in WINDOW and "sliding_windows" in values)


def _lists(row: Mapping[str, Any], n_layers: int, said: set[str]) -> dict[str, Any]:
    """Lists of one entry a layer: a unit repeated, with the last entry of its own; or those of the class's own depth alone."""
    found: dict[str, Any] = {}
    for name, rule in row.get("layers", {}).items():
        if name in said:
            continue
        unit = rule["unit"]
        if rule.get("depth", n_layers) != n_layers:
            continue
        if "depth" in rule:
            found[name] = list(unit)
            continue
        found[name] = [unit[i % len(unit)] for i in range(n_layers)]
        if "last" in rule:
            found[name][-1] = rule["last"]
    return found


def no_decoder(model_type: object) -> bool:
    """Whether a class generates text only if its file says is_decoder."""
    return _row(model_type).get("fields", {}).get("is_decoder") is False


def kept(model_type: object) -> str:
    """What a class is if it keeps no KV cache: "encoder" or "recurrent"; "" for all others."""
    return str(_row(model_type).get("keeps", ""))


def note(names: Sequence[str], model_type: str) -> str:
    """The sentence that says what was taken from the class."""
    many = f"{', '.join(names[:8])}{' and others' if len(names) > 8 else ''}"
    verb = "is" if len(names) == 1 else "are"
    source = f"{model_type[:60]} (transformers {table()['transformers']})"
    return f"{many} {verb} not in the file: taken from the defaults of {source}."


def _row(model_type: object) -> Mapping[str, Any]:
    row: Mapping[str, Any] = table()["classes"].get(model_type, {}) if isinstance(model_type, str) else {}
    return row
