"""A Hugging Face config.json read by its fields into a cache's shape: heads, MLA, windows, hybrids, shared layers.

What a file leaves out is taken from the class that its model_type names (`defaults`), and said. What could matter and was not
read is named, wherever it lies (`unread`); what keeps no KV cache is refused in a sentence (`refusals`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headlight.core.errors import ConfigError, UnsupportedModelError
from headlight.core.memory.bounds import MAX_HEADS, MAX_LAYERS, MAX_TOKENS, MAX_WIDTH
from headlight.core.memory.config import cache_precision, defaults, refusals
from headlight.core.memory.config.config_file import MAX_BYTES, parse
from headlight.core.memory.config.fields import CONTEXT, HEADS, KV_HEADS, LAYERS, WIDTH, Fields, Filled
from headlight.core.memory.config.layers.indexers import indexer
from headlight.core.memory.config.layers.kinds import Compressed, Kinds, layer_kinds, listed_layers
from headlight.core.memory.config.layers.own import Own, heads_of, own_layers
from headlight.core.memory.config.layers.rows import Rows, mla_of, part_of, query_heads
from headlight.core.memory.config.layers.sharing import loops, shared
from headlight.core.memory.config.unread import unread
from headlight.core.memory.shape import CacheShape, LayerGroup

_NESTED = (
    "text_config",
    "language_config",
    "llm_config",
    "thinker_config",
    "language_model_config",
    "lm_config",
    "text_model_config",
    "language_model",
    "decoder",
)


@dataclass(frozen=True)
class ParsedConfig:
    """shape: what was read; notes: what was taken for granted; unread: fields that might matter and were not understood."""

    shape: CacheShape
    notes: tuple[str, ...]
    unread: tuple[str, ...]


def read_config(text: str | bytes, name: str = "Your model", most: int = MAX_BYTES) -> ParsedConfig:
    """The shape that a config.json describes; raises InputError, ConfigError or UnsupportedModelError, in one sentence.

    >>> gpt2 = read_config('{"n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024}')
    >>> gpt2.shape.groups[0].row, gpt2.shape.max_context
    (Heads(n_kv_heads=12, head_dim=64, v_head_dim=64), 1024)
    """
    top = Fields(parse(text, most))
    refusals.refuse_pairs(top)
    notes: list[str] = []
    fields = _text_part(top, notes)
    refusals.refuse_other_kinds(fields, part=fields.objects is not top.objects)
    shape = _shape(name, fields, top, notes)
    if fields.used:
        notes.append(defaults.note(fields.used, str(fields.values.get("model_type"))))
    return ParsedConfig(shape, tuple(notes), unread(top, fields))


def _shape(name: str, fields: Filled, top: Fields, notes: list[str]) -> CacheShape:
    n_layers = _layers(fields, notes)
    kinds = shared(fields, layer_kinds(fields, n_layers, notes))
    own = own_layers(fields, n_layers)
    rows = Rows(fields, _heads(fields), mla_of(fields), any(isinstance(kind, Compressed) for kind in kinds))
    groups, times = _groups(rows, kinds, own), loops(fields, notes)
    _refuse_nothing(fields, groups)
    width, many = indexer(fields, n_layers)
    if any(not group.counts for group in groups):
        width = 0  # in a compressed cache they are counted in it
    _not_counted(fields, notes)
    return CacheShape(
        name, n_layers * times, rows.n_heads or _most_kv_heads(groups, notes),
        tuple(replace(group, count=group.count * times) for group in groups), rows.mla,
        fields.whole(WIDTH, MAX_WIDTH), fields.whole(CONTEXT, MAX_TOKENS), cache_precision.native(top, fields, notes), None,
        width, None if many == n_layers or not width else many * times,
    )  # fmt: skip


def _groups(rows: Rows, kinds: Kinds, own: list[Own]) -> tuple[LayerGroup, ...]:
    """Layers alike as one group each, in the order in which their kinds first come."""
    made: dict[Any, list[LayerGroup]] = {}
    counts: dict[LayerGroup, int] = {}
    for kind, said in zip(kinds, own, strict=True):
        key = (kind, *sorted(said.items()))
        if key not in made:
            made[key] = rows.layer(kind, said)
        for group in made[key]:
            counts[group] = counts.get(group, 0) + 1
    return tuple(replace(group, count=count) for group, count in counts.items())


def _refuse_nothing(fields: Fields, groups: tuple[LayerGroup, ...]) -> None:
    if all(group.row is None for group in groups):
        raise UnsupportedModelError(
            f"none of its layers keeps keys and values of a text: {groups[0].reason}; so it keeps no KV cache"
        )
    inside = part_of(fields)
    if inside is not None and inside.has(*KV_HEADS):
        fields.aside(*KV_HEADS)  # transformers repeats them outside


def _text_part(top: Fields, notes: list[str]) -> Filled:
    """The part about the language model, where a config has parts; what it leaves out from its class."""
    fields, model_type = top, top.get("model_type")
    for _ in range(3):
        named, inner_type = defaults.part(model_type)
        part = next((n for n in (named, *_NESTED) if isinstance(fields.values.get(n), dict)), None)
        if part is None or fields.has(*LAYERS):
            break
        notes.append(f"Read from its part {part}.")
        dtype = fields.get("dtype") or fields.get("torch_dtype")
        inner = Fields({"dtype": dtype} | fields.values[part])
        fields.objects[part] = inner
        fields.read.add(part)
        fields, model_type = inner, inner.get("model_type") or (inner_type if part == named else None)
    return _filled(fields, model_type)


def _filled(fields: Fields, model_type: Any) -> Filled:
    values: Mapping[str, Any] = fields.values
    named = {**values, "model_type": model_type} if model_type else values
    filled = Filled(named, defaults.left_out(values, model_type))
    filled.read, filled.objects = fields.read, fields.objects
    return filled


def _layers(fields: Fields, notes: list[str]) -> int:
    n_layers = listed_layers(fields) if fields.get(*LAYERS) is None else None
    n_layers = n_layers or fields.needed(LAYERS, MAX_LAYERS, "number of layers")
    # LongCat-Flash: what it counts are blocks of two attention layers each.
    if fields.get("zero_expert_num", "mla_scale_kv_lora") is not None and fields.named(*LAYERS) == "num_layers":
        notes.append("Its num_layers are blocks of two attention layers each.")
        return 2 * n_layers
    return n_layers


def _heads(fields: Fields) -> int:
    """Query heads, 0 where nothing says how many, though KV heads and their width do."""
    n_heads = query_heads(fields) or heads_of(fields)
    if n_heads is None and not fields.has(*KV_HEADS) and fields.get("kv_lora_rank") is None:
        return fields.needed(HEADS, MAX_HEADS, "number of attention heads")
    return n_heads or 0


def _most_kv_heads(groups: tuple[LayerGroup, ...], notes: list[str]) -> int:
    notes.append("The number of query heads is not given; it does not change what is kept.")
    parts = [part.heads or 1 for group in groups if group.row is not None for part in group.row.parts]
    if not parts:
        raise ConfigError("no layer keeps keys and values, and no number of attention heads is given")
    return max(parts)


def _not_counted(fields: Fields, notes: list[str]) -> None:
    """What is kept beside, said rather than counted."""
    if fields.whole(["num_nextn_predict_layers", "num_mtp_layers", "mtp_num_hidden_layers"], MAX_LAYERS, least=0):
        told = fields.named("num_nextn_predict_layers", "num_mtp_layers", "mtp_num_hidden_layers")
        notes.append(f"Layers that only predict further tokens ({told}) are not counted.")
    if fields.get("add_cross_attention") is True:
        notes.append("Its layers also attend to what an encoder made (add_cross_attention); that is not counted.")
