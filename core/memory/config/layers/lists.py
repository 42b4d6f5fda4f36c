"""Lists of one entry a layer, whatever they are called: names of kinds, letters, zeros and ones, numbers of layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_LAYERS, told, whole
from headlight.core.memory.config.fields import WINDOW, Fields

FULL, WINDOWED, CHUNK, NONE, CROSS = "full", "window", "chunk", "none", "cross"

# What a layer is called -> what it keeps; compared in lower case, without - and _.
_CALLED: Mapping[str, tuple[str, ...]] = {
    FULL: (
        "full_attention", "attention", "full", "global", "global_attention", "indexed_attention", "hybrid", "attn", "t",
        "deepseek_sparse_attention", "qwen_sparse_attention", "minimax_m3_sparse", "sparse_attention", "self_attention",
        "softmax", "softmax_attention", "dense_attention", "full_attn", "gqa", "mha", "mqa", "mla", "transformer", "nope",
        "attention_mlp", "attention_moe", "attention+mlp", "attention+moe", "multi_head_attention", "grouped_query_attention",
        "parallel_hybrid", "hybrid_attention", "mamba_attention", "gated_attention", "reference_sliding_attention", "*",
        "a", "g", "h",
    ),
    WINDOWED: (
        "sliding_attention", "sliding", "local", "local_attention", "sliding_window", "hybrid_sliding", "swa", "window",
        "sliding_window_attention", "windowed_attention", "window_attention", "local_sliding", "attn_local", "slide",
    ),
    CHUNK: ("chunked_attention", "chunked", "chunk", "attention_chunked"),
    NONE: (
        "linear_attention", "mamba", "mamba1", "mamba2", "recurrent", "conv", "moe", "mlp", "rwkv", "rwkv6", "rwkv7", "rglru",
        "rg_lru", "linear", "lightning", "lightning_attention", "lightning_attn", "gla", "gdn", "kda", "deltanet", "delta_net",
        "gated_deltanet", "gated_delta_net", "gated_delta", "retnet", "retention", "hyena", "ssm", "s4", "s6", "lru", "xlstm",
        "mlstm", "slstm", "m", "m2", "m2d", "ffn", "feed_forward", "identity", "no_op", "noop", "skip", "none", "short_conv",
        "conv1d", "shortconv", "-", "e", "bailing_linear", "hgrn", "hgrn2", "based", "linear_attn", "r", "dense", "mamba_mlp",
        "mamba+mlp", "mamba_moe", "mamba+moe", "kimi_linear", "kimi_delta_attention", "dummy", "long_conv", "megalodon",
    ),
    CROSS: ("cross_attention", "cross", "cross_attn", "image_cross_attention"),
}  # fmt: skip
_KINDS = {name: kind for kind, names in _CALLED.items() for name in names}
_ONE_LETTER = {name for name in _KINDS if len(name) == 1}

# A list is about what layers keep if its name says so, and not about what else layers have.
_ABOUT = re.compile(r"layer|block|mixer|attn|attention|hybrid|window|sliding|swa|pattern|layout")
_NOT_ABOUT = re.compile(
    r"mlp|ffn|moe|expert|mtp|nextn|rope|norm|vision|image|audio|indexer|index_|drop|target|engram|ple_|deepstack"
)
_WINDOWS = re.compile(r"window|sliding|swa|local")
_ATTENDING = re.compile(r"full|global|attn|attention")


def kind_of(name: str) -> str | None:
    """What a layer of that name keeps, of FULL, WINDOWED, CHUNK, NONE and CROSS; None for names that are not known.

    >>> kind_of("Sliding-Attention"), kind_of("m2d"), kind_of("telepathy")
    ('window', 'none', None)
    """
    plain = name.strip().lower().replace("-", "_") if len(name) > 1 else name.lower()
    return _KINDS.get(plain) or _KINDS.get(plain.removesuffix("_layer").removesuffix("_block"))


def by_names(fields: Fields, n_layers: int) -> list[str] | None:
    """Kinds from a list of names or letters, under any name that says that it is about layers; None where there is none.

    A shorter list is repeated, as RecurrentGemma repeats its block_types.
    """
    for name, value in fields.values.items():
        entries = _entries(name, value)
        if entries is None or not (kinds := [kind for entry in entries if (kind := kind_of(entry))]):
            continue
        repeats = "block_types" in name or "pattern" in name or "unit" in name
        if len(kinds) == len(entries) and (len(kinds) == n_layers or (repeats and len(kinds) < n_layers)):
            fields.read.add(name)
            kinds = windowed(fields, entries, kinds)
            return [kinds[i % len(kinds)] for i in range(n_layers)]
    return None


def windowed(fields: Fields, entries: Sequence[str], kinds: list[Any]) -> list[Any]:
    """The kinds; where recurrent layers stand beside plain "attention" and a window is given, it is that attention's
    (RecurrentGemma): nothing else could have it.
    """
    plain = {entry.lower() for entry, kind in zip(entries, kinds, strict=True) if kind == FULL} <= {
        "attention",
        "attn",
        "a",
        "t",
    }
    if WINDOWED in kinds or NONE not in kinds or not plain or fields.get(*WINDOW) in (None, 0, -1):
        return kinds
    return [WINDOWED if kind == FULL else kind for kind in kinds]


def _entries(name: str, value: object) -> Sequence[str] | None:
    """The names in a list that may be one a layer, or the letters of a text."""
    if len(name) > 60 or not _ABOUT.search(name.lower()) or _NOT_ABOUT.search(name.lower()):
        return None
    if isinstance(value, str):
        letters = [sign for sign in value if sign not in " |,"]
        return letters if 1 < len(letters) <= MAX_LAYERS and {x.lower() for x in letters} <= _ONE_LETTER else None
    good = isinstance(value, list) and 0 < len(value) <= 2 * MAX_LAYERS and all(isinstance(v, str) for v in value)
    return value if good and isinstance(value, list) else None


def by_flags(fields: Fields, n_layers: int) -> list[str] | None:
    """Kinds from a list of zeros and ones (or false and true), one a layer, whose name says what a one means."""
    others = WINDOWED if fields.has(*WINDOW) else NONE
    for name, value in fields.values.items():
        if len(name) > 60 or _NOT_ABOUT.search(name.lower()) or not _is_flags(value, n_layers):
            continue
        if _WINDOWS.search(name.lower()):
            fields.read.add(name)
            return [WINDOWED if on else FULL for on in value]
        if _ATTENDING.search(name.lower()):
            fields.read.add(name)
            return [FULL if on else others for on in value]
    return None


def _is_flags(value: Any, n_layers: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == n_layers > 1
        and all(type(v) in (int, bool) and v in (0, 1) for v in value)
    )


# Lists of layers' numbers: name -> (what those listed keep, what the others do, the number of the first layer).
NUMBERED: Mapping[str, tuple[str, str, int]] = {
    name: said
    for said, names in {
        (FULL, NONE, 0): (
            "attn_layer_indices full_attn_idxs hybrid_layer_ids attn_layer_idx attn_layer_idxs attention_layer_idx "
            "attention_layer_ids attention_layer_indices attention_layers_idx attn_layer_ids softmax_attention_layers "
            "full_attn_layers full_attention_idx"
        ),
        (WINDOWED, FULL, 0): (
            "local_layer_ids sliding_layer_ids sliding_window_layers swa_layers local_attention_layers "
            "sliding_attention_layers swa_layer_ids sliding_layers"
        ),
        (FULL, WINDOWED, 0): (
            "global_layer_ids global_attn_idx global_attention_layers full_attention_layers global_layers global_attn_layers "
            "full_attention_layer_ids full_attn_layer_ids"
        ),
        (NONE, FULL, 0): (
            "drop_attn_list skip_attn_layers attn_skip_layers skip_attention_layers no_attention_layers mamba_layers "
            "linear_attn_layers linear_attention_layers recurrent_layers"
        ),
    }.items()
    for name in names.split()
}


def by_numbers(fields: Fields, n_layers: int) -> list[str] | None:
    """Kinds from a list of the layers that attend, have the window, or keep nothing."""
    for name, (listed, others, first) in NUMBERED.items():
        if not isinstance(fields.values.get(name), list):
            continue
        if others == WINDOWED and not fields.has(*WINDOW):
            others = NONE
        at = numbers(fields, name, n_layers, first)
        return [listed if i in at else others for i in range(n_layers)]
    return None


def numbers(fields: Fields, name: str, n_layers: int, first: int = 0) -> set[int]:
    """The layers in a list of their numbers, from 0; first: the number of the first layer. Raises ConfigError for others."""
    listed = fields.items(name, int, "layers' numbers") or []
    return {whole(f"an entry of {name}", n, n_layers - 1 + first, least=first) - first for n in listed}


def fitting(name: str, entries: Sequence[Any], n_layers: int, fields: Fields) -> list[Any]:
    """One entry a layer; further ones are of layers that only predict further tokens. Raises ConfigError else."""
    more = fields.whole(["num_nextn_predict_layers"], MAX_LAYERS, least=0) or 0
    if len(entries) not in (n_layers, n_layers + more):
        raise ConfigError(f"{name} has {len(entries):,} entries for {n_layers:,} layers")
    return list(entries[:n_layers])


def known(name: str) -> str:
    """`kind_of`, but raises ConfigError for a name that is not known."""
    kind = kind_of(name)
    if kind is None:
        raise ConfigError(
            f"a layer of the kind {told(name)} is not known here; known are full_attention, attention and others"
        )
    return kind
