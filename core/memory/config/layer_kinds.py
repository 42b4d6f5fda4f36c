"""Which layers of a config.json keep what: the many ways in which models say so, each a rule; the first that applies wins.

A kind is "full" (grows), "window" and "chunk" (stop growing), "none" (keeps no growing cache), or `Compressed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_LAYERS, MAX_TOKENS, told, whole
from headlight.core.memory.config.fields import WINDOW, Fields


@dataclass(frozen=True)
class Compressed:
    """A window, and beside it one row for `every` tokens, which an indexer may choose from (DeepSeek-V4)."""

    every: int
    indexed: bool


Kind = str | Compressed
Kinds = list[Kind]
T = TypeVar("T")

_SAYS = (
    "max_window_layers", "use_sliding_window", "sliding_window_pattern", "_sliding_window_pattern", "layer_group_size",
    "full_attn_idxs", "attn_layer_indices", "attn_layer_period", "attn_layer_offset", "full_attention_interval",
    "no_rope_layers", "no_rope_layer_interval", "hybrid_layer_ids", "attention_types", "attention_layers", "linear_attn_config",
    "layers_block_type", "layer_types", "block_types", "attention_chunk_size", *WINDOW,
)  # fmt: skip
CSA, HCA = "compressed_sparse_attention", "heavily_compressed_attention"
_NAMES: dict[str, str] = (
    dict.fromkeys(
        ("full_attention", "attention", "full", "global", "global_attention", "indexed_attention", "hybrid",
         "deepseek_sparse_attention", "minimax_m3_sparse", "sparse_attention"), "full",
    )
    | dict.fromkeys(("sliding_attention", "sliding", "local", "local_attention", "sliding_window", "hybrid_sliding",
                     "reference_sliding_attention"), "window")
    | {"chunked_attention": "chunk"}
    | dict.fromkeys(("linear_attention", "mamba", "mamba2", "recurrent", "conv", "moe", "mlp", "rwkv"), "none")
)  # fmt: skip


def layer_kinds(fields: Fields, n_layers: int, notes: list[str]) -> Kinds:
    """One kind a layer; raises ConfigError for lists of another length and for kinds that are unknown."""
    found = next((kinds for rule in _RULES if (kinds := rule(fields, n_layers, notes)) is not None), None)
    fields.get(*_SAYS)  # what the rule that applies leaves aside has no say
    return found or ["full"] * n_layers


def listed_layers(fields: Fields) -> int | None:
    """How many layers a list of them has, where no number says it."""
    for name in ("layer_types", "layers_block_type", "hybrid_override_pattern"):
        value = fields.get(name)
        if isinstance(value, list | str) and value:
            return len(value)
    return None


def _named(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    for name in ("layer_types", "layers_block_type", "layer_block_types"):
        names = fields.items(name, str, "names, one a layer")
        if names:
            return [_kind(fields, each) for each in _fitting(name, names, n_layers, fields)]
    pattern = fields.items("block_types", str, "names")
    return [_kind(fields, pattern[i % len(pattern)]) for i in range(n_layers)] if pattern else None


def _kind(fields: Fields, name: str) -> Kind:
    if name in (CSA, HCA):
        rate = fields.inside("compress_rates").whole([name], MAX_TOKENS)
        return Compressed(rate or (4 if name == CSA else 128), indexed=name == CSA)
    if name not in _NAMES:
        raise ConfigError(
            f"a layer of the kind {told(name)} is not known here; known are {', '.join(list(_NAMES)[:2])} and others"
        )
    return _NAMES[name]


def _pattern(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    pattern = fields.get("hybrid_override_pattern")
    if pattern is None:
        return None
    if not isinstance(pattern, str) or not pattern or set(pattern) - set("M*-E|"):
        raise ConfigError(f"hybrid_override_pattern ({told(pattern)}) must be made of M, *, - and E")
    signs = _fitting("hybrid_override_pattern", [sign for sign in pattern if sign != "|"], n_layers, fields)
    return ["full" if sign == "*" else "none" for sign in signs]


def _numbered(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Lists of one number a layer."""
    for name, names in {"hybrid_layer_pattern": ("full", "window"), "attn_type_list": ("none", "full")}.items():
        numbers = fields.items(name, int, "0 and 1, one a layer")
        if numbers:
            return [
                names[whole(f"an entry of {name}", n, 1, least=0)] for n in _fitting(name, numbers, n_layers, fields)
            ]
    ratios = fields.items("compress_ratios", int, "numbers, one a layer")
    if not ratios:
        return None
    ratios = _fitting("compress_ratios", ratios, n_layers, fields)
    finest = min((ratio for ratio in ratios if ratio), default=0)  # of two, the finer one is searched by an indexer
    for ratio in ratios:
        whole("an entry of compress_ratios", ratio, MAX_TOKENS, least=0)
    return [Compressed(ratio, ratio == finest) if ratio else "window" for ratio in ratios]


def _periodic(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Every n-th layer attends to everything, the others keep a constant state."""
    interval = fields.whole(["full_attention_interval"], MAX_LAYERS)
    if interval:
        return _every(n_layers, interval, interval - 1, "none")
    period = fields.whole(["attn_layer_period"], MAX_LAYERS)
    if period:
        return _every(n_layers, period, fields.whole(["attn_layer_offset"], period - 1, least=0) or 0, "none")
    group = fields.whole(["layer_group_size"], MAX_LAYERS)
    return _every(n_layers, group, group - 1, "none") if group else None


def _listed(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Lists of the layers that attend; the others keep a constant state."""
    linear = fields.inside("linear_attn_config")
    places = ((fields, "attn_layer_indices", 0), (fields, "full_attn_idxs", 0), (fields, "hybrid_layer_ids", 0),
              (linear, "full_attn_layers", 1))  # fmt: skip
    for place, name, first in places:
        numbers = place.items(name, int, "layers' numbers")
        if numbers is not None:
            attending = {whole(f"an entry of {name}", n, n_layers - 1 + first, least=first) for n in numbers}
            return ["full" if i + first in attending else "none" for i in range(n_layers)]
    return None


def _gpt_neo(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    pairs = fields.items("attention_types", list, "pairs of kinds and how often they come")
    if not pairs:
        return None
    kinds: Kinds = []
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], list) or not all(isinstance(name, str) for name in pair[0]):
            raise ConfigError("attention_types must be a list of pairs of kinds and how often they come")
        times = whole("a count in attention_types", pair[1], MAX_LAYERS)
        if len(kinds) + len(pair[0]) * times > 2 * MAX_LAYERS:  # told before so long a list is made
            raise ConfigError(f"attention_types has more than {2 * MAX_LAYERS:,} entries for {n_layers:,} layers")
        kinds += [_kind(fields, name) for name in pair[0]] * times
    return _fitting("attention_types", kinds, n_layers, fields)


def _chunked(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Llama 4: layers with positions look at chunks, those without at everything."""
    if fields.get("attention_chunk_size") is None:
        return None
    turned = fields.items("no_rope_layers", int, "0 and 1, one a layer")
    if turned:
        return ["chunk" if on else "full" for on in _fitting("no_rope_layers", turned, n_layers, fields)]
    interval = fields.whole(["no_rope_layer_interval"], MAX_LAYERS) or 4
    notes.append(f"Which layers look at chunks is not said; all but every {interval}th are taken to, as in Llama 4.")
    return _every(n_layers, interval, interval - 1, "chunk")


def _sliding(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    if fields.get(*WINDOW) is None or fields.flag("use_sliding_window") is False:
        return None
    pattern = fields.get("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers")
    if isinstance(pattern, str):
        return _letters(pattern, n_layers)
    if pattern is not None:
        step = whole("sliding_window_pattern", pattern, MAX_LAYERS)
        return _every(n_layers, step, step - 1, "window")
    first = fields.whole(["max_window_layers"], MAX_LAYERS, least=0) if fields.flag("use_sliding_window") else None
    if first is not None:
        return ["window" if i >= first else "full" for i in range(n_layers)]
    return _unsaid(fields, n_layers, notes)


def _unsaid(fields: Fields, n_layers: int, notes: list[str]) -> Kinds:
    """A window, and nothing about which layers have it."""
    if fields.get("rope_local_base_freq") is not None:
        raise ConfigError(
            "sliding_window is given, but not which layers have it; add layer_types or sliding_window_pattern"
        )
    if fields.get("attn_logit_softcapping") is not None or fields.get("cache_implementation") == "hybrid":
        notes.append("Which layers have the window is not said; every other one is taken to, as in Gemma 2.")
        return _every(n_layers, 2, 1, "window")
    return ["window"] * n_layers


def _letters(pattern: str, n_layers: int) -> Kinds:
    if not pattern or set(pattern) - set("LG"):
        raise ConfigError(f"sliding_window_pattern ({told(pattern)}) must be a number or made of L and G")
    kinds: Kinds = ["window" if pattern[i % len(pattern)] == "L" else "full" for i in range(n_layers)]
    return [*kinds[:-1], "full"]  # the last layer attends to everything, whatever the pattern says (EXAONE 4)


def _every(n_layers: int, step: int, offset: int, others: str) -> Kinds:
    return ["full" if i % step == offset else others for i in range(n_layers)]


def _fitting(name: str, entries: Sequence[T], n_layers: int, fields: Fields) -> list[T]:
    """One entry a layer; further ones belong to layers that only predict further tokens (num_nextn_predict_layers)."""
    more = fields.whole(["num_nextn_predict_layers"], MAX_LAYERS, least=0) or 0
    if len(entries) not in (n_layers, n_layers + more):
        raise ConfigError(f"{name} has {len(entries):,} entries for {n_layers:,} layers")
    return list(entries[:n_layers])


Rule = Callable[[Fields, int, list[str]], "Kinds | None"]
_RULES: tuple[Rule, ...] = (_named, _pattern, _numbered, _periodic, _listed, _gpt_neo, _chunked, _sliding)
