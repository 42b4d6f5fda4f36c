"""The catalogue of published models, `assets/published_models.json`: shapes with their sources, checked when read.

What is in the catalogue is data; how large a cache is follows from its fields alone (`headlight.core.memory.sizes`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headlight.core import ASSETS
from headlight.core.errors import CheckpointError, ConfigError
from headlight.core.memory.precision import DTYPES
from headlight.core.memory.shape import CacheRow, CacheShape, Heads, Latent, LayerGroup, MLADims

PATH = ASSETS / "published_models.json"


@dataclass(frozen=True)
class Published:
    """One model of the catalogue.

    attention: MHA, GQA, MQA, MLA, hybrid, …, as the catalogue says; position: its encoding; verified: whether a
    configuration file or the model's own code was read; dtype_known: whether a source gives the precision; conflicts: where
    sources disagree; stated: the catalogue's own byte counts, to compare with what follows from the shape.
    """

    slug: str
    shape: CacheShape
    attention: str
    position: str
    verified: bool
    dtype_known: bool
    sources: tuple[str, ...]
    note: str
    conflicts: tuple[str, ...]
    stated: Mapping[str, Any] = field(repr=False)


def published(path: Path = PATH) -> dict[str, Published]:
    """Slug -> model: the verified ones first, in the catalogue's order; raises CheckpointError for a damaged file."""
    try:
        tables = json.loads(path.read_text(encoding="utf-8"))
        found = [_read(row, verified=name == "verified") for name in ("verified", "unverified") for row in tables[name]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"the catalogue {path.name} cannot be read: {error}") from error
    return {model.slug: model for model in found}


def _read(row: Mapping[str, Any], verified: bool) -> Published:
    mla = MLADims(**row["mla"]) if row["mla"] else None
    shape = CacheShape(
        row["name"], row["n_layers"], row["n_heads"], tuple(map(_group, row["layer_groups"])), mla, row["d_model"],
        row["max_context"], DTYPES[row["native_dtype"]], row["parameters_in_name"], row.get("indexer_dim", 0),
        row.get("indexer_layers"),
    )  # fmt: skip
    if not row["sources"]:
        raise ConfigError(f"{row['name']} has no source")
    stated = {
        name: value for name, value in row.items() if name.endswith(("_bytes_per_token", "_growing", "_bytes_at"))
    }
    return Published(
        row["slug"], shape, row["attention"], row["position"] or "", verified, row["native_dtype_from_source"],
        tuple(row["sources"]), row["note"] or "", tuple(row["conflicts"]), stated,
    )  # fmt: skip


def _group(row: Mapping[str, Any]) -> LayerGroup:
    more = {name: row[name] for name in ("window", "chunked", "every", "indexer", "reason") if name in row}
    return LayerGroup(row["count"], _row(row), **more)


def _row(row: Mapping[str, Any]) -> CacheRow | None:
    if "reason" in row:
        return None
    if "kv_lora_rank" in row:
        return Latent(row["kv_lora_rank"], row["qk_rope_head_dim"])
    return Heads(row["n_kv_heads"], row["head_dim"], row["v_head_dim"])
