"""A Hugging Face config.json read by its fields into a cache's shape: heads, MLA, windows, hybrids, shared layers.

No name of a model decides anything. What could matter and was not read is named; what cannot be is refused in a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headlight.core.errors import ConfigError, UnsupportedModelError
from headlight.core.memory.bounds import MAX_HEADS, MAX_LAYERS, MAX_TOKENS, MAX_WIDTH
from headlight.core.memory.config.config_file import MAX_BYTES, parse
from headlight.core.memory.config.fields import CONTEXT, HEAD_DIM, HEADS, KV_HEADS, LAYERS, WIDTH, WINDOW, Fields
from headlight.core.memory.config.layer_kinds import Compressed, Kind, layer_kinds, listed_layers
from headlight.core.memory.precision import DTYPES
from headlight.core.memory.shape import CacheShape, Heads, LayerGroup, MLADims

_NESTED = ("text_config", "language_config", "llm_config", "thinker_config", "decoder")
_STATE = "a constant state instead of a growing cache, or no attention"
_SHARED = "reads the keys and values of another layer"
_RELEVANT = re.compile(
    r"head|kv_|_kv|attn|attention|window|sliding|layer_type|block_type|lora_rank|share|chunk|compress|_layers$"
)
_NEUTRAL = re.compile(
    r"attention_heads$|dropout|softmax|k_eq_v|^chunk_size$|parallel_attn|factor|shared_intermediate|shared_expert|drop|pdrop|bias|norm|_implementation|softcap|scalar|multiplier|temperature|scale|expert|moe|mlp|dense|q_lora|"
    r"index_|qk_head|use_cache|mtp|nextn|vocab|init|lm_head|rope|sink|tp_plan|pp_plan|hash_|upcast|reorder|output_att|cross|"
    r"pruned|classifier|^architectures|chunk_size_feed|type_vocab|gate|ffn|^o_|linear_|mamba|conv|talking|layerdrop|vision|audio"
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
    whole_file = parse(text, most)
    _refuse_pairs(Fields(whole_file))
    values, notes = _text_part(whole_file)
    fields = Fields(values)
    _refuse_other_kinds(fields)
    n_layers, n_heads, mla = _layers(fields, notes), _heads(fields), _mla(fields)
    groups = _groups(fields, layer_kinds(fields, n_layers, notes), n_heads, mla)
    if fields.whole(["num_nextn_predict_layers"], MAX_LAYERS, least=0):
        notes.append("Layers that only predict further tokens (num_nextn_predict_layers) are not counted.")
    shape = CacheShape(
        name, n_layers, n_heads, groups, mla, fields.whole(WIDTH, MAX_WIDTH), fields.whole(CONTEXT, MAX_TOKENS),
        _native(fields, notes), None, _indexer(fields, groups),
    )  # fmt: skip
    return ParsedConfig(shape, tuple(notes), _unread(fields))


def _groups(fields: Fields, kinds: list[Kind], n_heads: int, mla: MLADims | None) -> tuple[LayerGroup, ...]:
    """Layers alike together; those of which nothing else is said are alike by their kind."""
    one_vector = any(isinstance(kind, Compressed) for kind in kinds)  # then the key is the value, too (DeepSeek-V4)
    alike = {kind: _layer(fields, Fields({}), kind, n_heads, mla, one_vector) for kind in dict.fromkeys(kinds)}
    own = _own(fields)
    layers = [
        _layer(fields, own[i], kind, n_heads, mla, one_vector) if i in own else alike[kind]
        for i, kind in enumerate(kinds)
    ]
    return _counted(_without_shared([group for layer in layers for group in layer], fields, len(kinds)))


def _text_part(values: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """The part about the language model, where a config has parts."""
    notes: list[str] = []
    for _ in range(3):
        part = next((name for name in _NESTED if isinstance(values.get(name), dict)), None)
        if part is None or any(name in values for name in LAYERS):
            break
        notes, values = [f"Read from its part {part}."], {"dtype": _dtype(values)} | values[part]
    return values, notes


def _dtype(values: Mapping[str, Any]) -> Any:
    return values.get("dtype") or values.get("torch_dtype")


def _refuse_pairs(fields: Fields) -> None:
    """Models of two halves, which say so at the top of the file."""
    if fields.get("is_encoder_decoder") is True:
        raise UnsupportedModelError("this is an encoder-decoder, whose cache of the encoder's text is of another kind")
    if fields.get("logit_scale_init_value") is not None:
        raise UnsupportedModelError(
            "this is a vision model that compares pictures with texts; it generates none and keeps no KV cache"
        )


def _refuse_other_kinds(fields: Fields) -> None:
    has = fields.values.get
    if has("vocab_size") is None and (has("image_size") is not None or has("patch_size") is not None):
        raise UnsupportedModelError(
            "this is a vision model, which generates no text token by token and keeps no KV cache"
        )
    if has("type_vocab_size") is not None and has("is_decoder") is not True:
        raise UnsupportedModelError(
            "this is an encoder that reads both ways (it has token types), and keeps no KV cache"
        )
    stateful = next(
        (name for name in ("state_size", "ssm_cfg", "d_state", "attention_hidden_size") if has(name) is not None), None
    )
    if stateful and not any(has(name) is not None for name in HEADS[:3]):
        raise UnsupportedModelError(
            f"this is a state-space or recurrent model ({stateful}), which keeps a constant state, no KV cache"
        )


def _layers(fields: Fields, notes: list[str]) -> int:
    n_layers = listed_layers(fields) if fields.get(*LAYERS) is None else None
    n_layers = n_layers or fields.needed(LAYERS, MAX_LAYERS, "number of layers")
    # LongCat-Flash: what it counts are blocks of two attention layers each.
    if fields.get("zero_expert_num", "mla_scale_kv_lora") is not None and fields.named(*LAYERS) == "num_layers":
        notes.append("Its num_layers are blocks of two attention layers each.")
        return 2 * n_layers
    return n_layers


def _heads(fields: Fields) -> int:
    return fields.needed(HEADS, MAX_HEADS, "number of attention heads")


def _mla(fields: Fields) -> MLADims | None:
    rank = fields.whole(["kv_lora_rank"], MAX_WIDTH, least=0)
    if not rank:
        return None
    nope, v = (fields.needed([n], MAX_WIDTH, "width of MLA's heads") for n in ("qk_nope_head_dim", "v_head_dim"))
    rope = fields.whole(["qk_rope_head_dim"], MAX_WIDTH, least=0)
    if rope is None:
        raise ConfigError("kv_lora_rank is given, so the model has MLA, but qk_rope_head_dim is missing")
    fields.get(*KV_HEADS, *HEAD_DIM)  # MLA configs repeat them; they do not change what is kept
    return MLADims(rank, nope, rope, v, fields.whole(["q_lora_rank"], MAX_WIDTH, least=0) or 0)


def _layer(
    fields: Fields, own: Fields, kind: Kind, n_heads: int, mla: MLADims | None, one_vector: bool
) -> list[LayerGroup]:
    """What one layer keeps: one group, or for a compressed cache two."""
    if kind == "none":
        return [LayerGroup(1, None, reason=_STATE)]
    row = mla.row if mla else _row(fields, own, kind, n_heads)
    row = Heads(row.n_kv_heads, row.head_dim, 0) if one_vector and isinstance(row, Heads) else row
    if kind == "full":
        return [LayerGroup(1, row)]
    window = own.whole(WINDOW, MAX_TOKENS) or fields.whole(_window_names(kind), MAX_TOKENS)
    if window is None:
        raise ConfigError(f"some layers have a window, but {_window_names(kind)[0]} is missing")
    if isinstance(kind, str):
        return [LayerGroup(1, row, window, chunked=kind == "chunk")]
    indexer = fields.whole(["index_head_dim"], MAX_WIDTH) or 0
    return [LayerGroup(1, row, window), LayerGroup(1, row, every=kind.every, indexer=indexer if kind.indexed else 0)]


def _own(fields: Fields) -> dict[int, Fields]:
    """What `per_layer_config` says of single layers; its keys may be padded with zeros."""
    said = fields.inside("per_layer_config")
    return {int(key): said.inside(key) for key in said.values if key.isascii() and key.isdecimal() and len(key) < 9}


def _window_names(kind: Kind) -> tuple[str, ...]:
    return ("attention_chunk_size",) if kind == "chunk" else WINDOW


def _row(fields: Fields, own: Fields, kind: Kind, n_heads: int) -> Heads:
    prefixed = {"window": "swa_", "full": "global_"}.get(str(kind), "")
    head_dim = (
        own.whole(HEAD_DIM, MAX_WIDTH)
        or _special(fields, f"{prefixed}head_dim", prefixed)
        or _head_dim(fields, n_heads)
    )
    v_head_dim = (
        own.whole(["v_head_dim"], MAX_WIDTH) or _special(fields, f"{prefixed}v_head_dim", prefixed)
        or fields.whole(["v_head_dim"], MAX_WIDTH) or head_dim
    )  # fmt: skip
    many = {"window": "swa_num_key_value_heads", "full": "num_global_key_value_heads"}.get(str(kind), "")
    n_kv_heads = own.whole(KV_HEADS, MAX_HEADS) or _special(fields, many, prefixed) or _kv_heads(fields, n_heads)
    return Heads(n_kv_heads, head_dim, v_head_dim)


def _special(fields: Fields, name: str, prefixed: str) -> int | None:
    return fields.whole([name], MAX_WIDTH) if prefixed else None


def _head_dim(fields: Fields, n_heads: int) -> int:
    given = fields.whole(HEAD_DIM, MAX_WIDTH)
    if given is not None:
        return given
    d_model = fields.needed(WIDTH, MAX_WIDTH, "head_dim, nor a model's width to divide by the heads,")
    if d_model % n_heads:
        raise ConfigError(
            f"{fields.named(*WIDTH)} ({d_model}) must be a multiple of the heads ({n_heads}) where no head_dim is given"
        )
    return d_model // n_heads


def _kv_heads(fields: Fields, n_heads: int) -> int:
    shared = fields.flag("multi_query")
    if shared and not fields.flag("new_decoder_architecture"):
        fields.get(*KV_HEADS)
        return 1
    inside = fields.inside("attn_config").whole(KV_HEADS, MAX_HEADS)
    return fields.whole(KV_HEADS, MAX_HEADS) or inside or n_heads


def _without_shared(groups: list[LayerGroup], fields: Fields, n_layers: int) -> list[LayerGroup]:
    """Layers that read another layer's keys and values keep none: the last num_kv_shared_layers, or all but every n-th."""
    last = fields.whole(["num_kv_shared_layers"], n_layers - 1, least=0) or 0
    factor = (fields.whole(["cla_share_factor"], n_layers) or 1) if fields.flag("use_cla") is not False else 1
    if last == 0 and factor == 1:
        return groups
    if len(groups) != n_layers:
        raise ConfigError("layers that share keys and values beside compressed ones are not known here")
    shared = [i >= n_layers - last or i % factor > 0 for i in range(n_layers)]
    return [
        LayerGroup(1, None, reason=_SHARED) if on and group.row is not None else group
        for on, group in zip(shared, groups, strict=True)
    ]


def _counted(groups: list[LayerGroup]) -> tuple[LayerGroup, ...]:
    """Layers alike as one group each, in the order in which their kinds first come."""
    counts: dict[LayerGroup, int] = {}
    for group in groups:
        counts[group] = counts.get(group, 0) + 1
    return tuple(replace(group, count=count) for group, count in counts.items())


def _native(fields: Fields, notes: list[str]) -> str:
    name = str(fields.get("dtype", "torch_dtype") or "").removeprefix("torch.")
    if name not in DTYPES:
        notes.append(
            "Its precision is not given; bf16 is taken."
            if not name
            else "Its precision is not known here; bf16 is taken."
        )
    return DTYPES.get(name, "bf16")


def _indexer(fields: Fields, groups: tuple[LayerGroup, ...]) -> int:
    """Numbers a layer that a sparse attention's indexer keeps beside the cache; in a compressed cache they are in it."""
    width = fields.whole(["index_head_dim"], MAX_WIDTH) or 0
    return 0 if any(group.every > 1 for group in groups) else width


def _unread(fields: Fields) -> tuple[str, ...]:
    plain = [
        name for name, value in fields.values.items() if name not in fields.read and value not in (None, False, [], {})
    ]
    told = [name[:60] for name in plain if _RELEVANT.search(name[:60]) and not _NEUTRAL.search(name[:60])]
    return tuple(told[:12])
