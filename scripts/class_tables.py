"""assets/class_defaults.json from what scripts/transformers_caches.py wrote: what files may leave to their class.

    python scripts/class_tables.py build/configs.jsonl [build/caches.jsonl]

Needs neither transformers nor torch: the names of generating and of masked classes are read from transformers' source.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from headlight.core.memory.config.defaults import PATH
from headlight.core.memory.config.fields import HEAD_DIM, HEADS, LAYERS, WIDTH
from headlight.core.memory.config.layers.kinds import MIXED
from headlight.core.memory.config.meanings import ALL_READ
from headlight.core.memory.config.refusals import MARKS

# What no field says, but the class's code does: model_type -> field -> (the field it follows from, how many times that).
IN_CODE = {"mimo_v2_flash": {"swa_num_key_value_heads": ("num_key_value_heads", 2)}}  # MiMoV2FlashAttention.__init__
NOT_SHIPPED = {"is_causal", "max_position_embeddings"}  # the first is True everywhere; contexts are not the cache's


def main(configs: Path, caches: Path | None) -> None:
    """Writes the table."""
    rows = {row["model_type"]: row for row in map(json.loads, configs.read_text().splitlines())}
    kinds = kinds_of(rows, caches)
    classes = {name: of_class(row, kinds.get(name, "")) for name, row in rows.items() if "config" in row}
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(classes.items()) if row)
    about = (
        "Defaults of transformers' configuration classes that a KV cache depends on; made by scripts/class_tables.py."
    )
    head = f'{{"about": {json.dumps(about)}, "transformers": "{version()}", "licence": "Apache-2.0 (transformers)",'
    PATH.write_text(f'{head}\n"classes": {{\n{text}\n}}}}\n')


def of_class(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What is shipped of one class: the part that generates text, or its fields and lists."""
    found: dict[str, Any] = {"keeps": kind} if kind else {}
    if row["text"] and row["text"][0]:
        return found | {"part": row["text"]}
    config, lists = row["config"], row["lists"]
    depth = next((config[name] for name in LAYERS if isinstance(config.get(name), int)), None)
    constant = {
        name: value
        for name, value in config.items()
        if name in (ALL_READ | MARKS | MIXED) - NOT_SHIPPED
        and name not in row["follows"]
        and value not in (None, [], {})
        and name not in lists
    }
    layers = {name: {"unit": value, "depth": depth} for name, value in constant.items() if isinstance(value, list)}
    layers |= {
        name: rule(config[name], lists[name], depth)
        for name in lists
        if name in ALL_READ and isinstance(config[name], list)
    }
    fields = {name: value for name, value in constant.items() if not isinstance(value, list) and name not in LAYERS}
    fields |= by_kind(fields.pop("per_layer_config", {}), config.get("layer_types") or [])
    fields = {name: value for name, value in fields.items() if (name, value) != ("is_encoder_decoder", False)}
    if not asks_whether_it_decodes(row["model_type"]):  # GPT-NeoX generates whatever is_decoder says
        fields.pop("is_decoder", None)
    made = row.get("properties", {}).get("layer_types")
    if (
        made and len(set(made)) == 1 and "layer_types" not in layers
    ):  # Falcon-H1: attention and Mamba side by side in all
        layers["layer_types"] = {"unit": made[:1]}
    more = {
        "in_code": IN_CODE.get(row["model_type"]),
        "factors": factors(row),
        "fields": fields,
        "layers": layers,
        "n_layers": depth,
    }
    return found | {name: value for name, value in more.items() if value}


def factors(row: Mapping[str, Any]) -> dict[str, float]:
    """Widths of heads that follow from the model's width, but are not it divided by the heads: how many times that."""
    config = row["config"]
    width, heads = (next((config[n] for n in names if isinstance(config.get(n), int)), 0) for names in (WIDTH, HEADS))
    dims = [name for name in (*HEAD_DIM, "v_head_dim") if name in row["follows"] and isinstance(config.get(name), int)]
    found = {name: config[name] * heads / width for name in dims if width}
    return {name: factor for name, factor in found.items() if factor != 1 or name == "v_head_dim"}


def by_kind(own: Mapping[str, Mapping[str, Any]], layer_types: Sequence[str]) -> dict[str, Any]:
    """What all layers of one kind have of their own, under the fields that say so for the kind; {} where others have it."""
    layers = {int(key) for key in own}
    same = {json.dumps(said, sort_keys=True) for said in own.values()}
    for kind, prefix in (("full_attention", "global_"), ("sliding_attention", "swa_")):
        if layers and len(same) == 1 and layers == {i for i, name in enumerate(layer_types) if name == kind}:
            said = json.loads(same.pop())
            renamed = {"global_num_key_value_heads": "num_global_key_value_heads"}
            return {renamed.get(prefix + name, prefix + name): value for name, value in said.items()}
    return {}


def rule(default: Sequence[Any], by_depth: Mapping[str, Sequence[Any]], depth: int) -> dict[str, Any]:
    """The unit that is repeated, with the last layer's own if it has one; else the list of the class's own depth."""
    every = [default, *by_depth.values()]
    longest = max(every, key=len)
    lasts = {json.dumps(values[-1]) for values in every}
    for last in (None, json.loads(lasts.pop())) if len(lasts) == 1 else (None,):
        for size in range(1, 17):
            unit = list(longest[:size])
            if all(list(values) == repeated(unit, len(values), last) for values in every):
                return {"unit": unit} if last is None else {"unit": unit, "last": last}
    return {"unit": list(default), "depth": depth}


def repeated(unit: Sequence[Any], length: int, last: Any) -> list[Any]:
    """The unit again and again; last: the entry that ends it, None for the unit's own."""
    values = [unit[i % len(unit)] for i in range(length)]
    return values if last is None or not values else [*values[:-1], last]


def kinds_of(rows: Mapping[str, Any], caches: Path | None) -> dict[str, str]:
    """model_type -> "encoder" or "recurrent" for those that keep no KV cache."""
    names = mappings()
    generating = {*names["MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"], *names["MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"]}
    parts = {row["text"][1] for row in rows.values() if row.get("text")}
    masked = set().union(
        *(
            names[f"MODEL_FOR_{kind}_MAPPING_NAMES"]
            for kind in ("MASKED_LM", "TEXT_ENCODING", "CTC", "IMAGE_CLASSIFICATION")
        )
    )
    pairs = {name for name, row in rows.items() if row.get("config", {}).get("is_encoder_decoder")}
    kinds = dict.fromkeys(masked - generating - parts - pairs, "encoder")
    for row in map(json.loads, caches.read_text().splitlines()) if caches else ():
        layers = row.get("layers", [])
        if layers and all("Linear" in layer["class"] and "keys" not in layer for layer in layers):
            kinds[row["model_type"]] = "recurrent"
    return kinds


def asks_whether_it_decodes(model_type: str) -> bool:
    """Whether the code of a class looks at its configuration's is_decoder; True where its code is not found."""
    folder = Path(find_spec("transformers").origin).parent / "models" / model_type.replace("-", "_")
    sources = [ast.parse(path.read_text()) for path in folder.glob("modeling_*.py")]
    asked = (node for source in sources for node in ast.walk(source) if isinstance(node, ast.Attribute))
    return not sources or any(node.attr == "is_decoder" for node in asked)


def mappings() -> dict[str, list[str]]:
    """The tables of transformers' modeling_auto.py, read without importing it."""
    package = find_spec("transformers")
    source = Path(package.origin).parent / "models/auto/modeling_auto.py"
    found: dict[str, list[str]] = {}
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Call):
            pairs = node.value.args[0].elts if node.value.args and isinstance(node.value.args[0], ast.List) else []
            found[node.targets[0].id] = [pair.elts[0].value for pair in pairs if isinstance(pair, ast.Tuple)]
    return found


def version() -> str:
    """The version of transformers that is installed."""
    from importlib.metadata import version as installed

    return installed("transformers")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
