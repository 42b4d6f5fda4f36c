"""Which layers of a config.json keep what: the many ways in which models say so, each a rule; the first that applies wins.

A kind is "full" (grows), "window" and "chunk" (stop growing), "none" (keeps no growing cache), "shared" (reads another
layer's), "cross" (keeps what it is given beside the text), or `Compressed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_LAYERS, MAX_TOKENS, told, whole
from headlight.core.memory.config.fields import WINDOW, Fields
from headlight.core.memory.config.layers import lists
from headlight.core.memory.config.layers.lists import CHUNK, CROSS, FULL, NONE, WINDOWED, fitting

SHARED = "shared"
CSA, HCA = "compressed_sparse_attention", "heavily_compressed_attention"


@dataclass(frozen=True)
class Compressed:
    """A window, and beside it one row for `every` tokens, which an indexer may choose from (DeepSeek-V4)."""

    every: int
    indexed: bool


Kind = str | Compressed
Kinds = list[Kind]

_SAYS = (
    "max_window_layers", "use_sliding_window", "sliding_window_pattern", "_sliding_window_pattern", "layer_group_size",
    "full_attn_idxs", "attn_layer_indices", "attn_layer_period", "attn_layer_offset", "full_attention_interval",
    "no_rope_layers", "no_rope_layer_interval", "hybrid_layer_ids", "attention_types", "attention_layers", "linear_attn_config",
    "layers_block_type", "layer_types", "block_types", "_block_types", "attention_chunk_size", "global_attn_every_n_layers",
    "hybrid_override_pattern", "compress_ratios", *WINDOW,
)  # fmt: skip
PROMPT = "reference_sliding_attention"


def layer_kinds(fields: Fields, n_layers: int, notes: list[str]) -> Kinds:
    """One kind a layer; raises ConfigError for lists of another length and for kinds that are unknown."""
    said = next((kinds for rule in _RULES if (kinds := rule(fields, n_layers, notes)) is not None), None)
    if fields.has("layer_types"):
        fields.aside(*(name for name in fields.values if name.endswith("sliding_window_pattern")))
    fields.aside(*_SAYS)  # what the rule that applies leaves aside has no say
    return _crossed(fields, said or [FULL] * n_layers)


def listed_layers(fields: Fields) -> int | None:
    """How many layers a list of them has, where no number says it."""
    for name in ("layer_types", "layers_block_type", "hybrid_override_pattern", "block_configs", "mixer_types"):
        value = fields.get(name)
        if isinstance(value, list | str) and value:
            return len(value)
    return None


def _crossed(fields: Fields, kinds: Kinds) -> Kinds:
    """Cross-attention layers, which take the place of attention over the text (Llama 3.2 Vision)."""
    if not isinstance(fields.values.get("cross_attention_layers"), list):
        return kinds
    crossing = lists.numbers(fields, "cross_attention_layers", len(kinds))
    return [CROSS if i in crossing else kind for i, kind in enumerate(kinds)]


def _named(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    for name in ("layer_types", "layers_block_type", "layer_block_types"):
        names = fields.items(name, str, "names, one a layer")
        if names:
            if PROMPT in names:
                notes.append(f"Layers of the kind {PROMPT} keep every token of the prompt: all tokens are counted.")
            names = fitting(name, names, n_layers, fields)
            return lists.windowed(fields, names, [_kind(fields, each) for each in names])
    return None


def _kind(fields: Fields, name: str) -> Kind:
    if name in (CSA, HCA):
        rate = fields.inside("compress_rates").whole([name], MAX_TOKENS)
        return Compressed(rate or (4 if name == CSA else 128), indexed=name == CSA)
    return lists.known(name)


def _pattern(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    pattern = fields.get("hybrid_override_pattern")
    if pattern is None:
        return None
    if not isinstance(pattern, str) or not pattern or set(pattern) - set("M*-E|"):
        raise ConfigError(f"hybrid_override_pattern ({told(pattern)}) must be made of M, *, - and E")
    signs = fitting("hybrid_override_pattern", [sign for sign in pattern if sign != "|"], n_layers, fields)
    return [FULL if sign == "*" else NONE for sign in signs]


def _numbered(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Lists of one number a layer."""
    for name, names in {"hybrid_layer_pattern": (FULL, WINDOWED), "attn_type_list": (NONE, FULL)}.items():
        numbers = fields.items(name, int, "0 and 1, one a layer")
        if numbers:
            return [
                names[whole(f"an entry of {name}", n, 1, least=0)] for n in fitting(name, numbers, n_layers, fields)
            ]
    return None


def _compressed(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """compress_ratios: 0 for a window alone, else also a row for so many tokens.

    DeepSeek-V4 searches the finer of two ratios by an indexer. DeepSeek-V4.1 makes rows in its kv_source_layer_ids alone, each
    with an indexer's key beside it; the other layers read those and keep a window of their own.
    """
    ratios = fields.items("compress_ratios", int, "numbers, one a layer")
    if not ratios:
        return None
    ratios = [whole("an entry of compress_ratios", n, MAX_TOKENS, least=0) for n in ratios]
    ratios = fitting("compress_ratios", ratios, n_layers, fields)
    if isinstance(fields.values.get("kv_source_layer_ids"), list):
        sources = lists.numbers(fields, "kv_source_layer_ids", n_layers)
        fields.aside(
            "index_source_layer_ids"
        )  # whose choices are used again; their keys lie beside the rows of the sources
        return [Compressed(n, True) if n and i in sources else WINDOWED for i, n in enumerate(ratios)]
    finest = min((ratio for ratio in ratios if ratio), default=0)
    return [Compressed(ratio, ratio == finest) if ratio else WINDOWED for ratio in ratios]


def _sambay(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """SambaY (Phi-4-mini-flash, arXiv 2507.06607): every mb_per_layer-th layer is Mamba; in the first half the others have the
    window, the second layer after it keeps the one full cache, which those above it read.
    """
    step = fields.whole(["mb_per_layer"], MAX_LAYERS, least=0)
    if not step:
        return None
    notes.append("mb_per_layer: read as SambaY, in which the upper half of the layers reads one full cache.")
    below = WINDOWED if fields.has(*WINDOW) else FULL
    half = n_layers // 2
    attending = [below if i < half else FULL if i < half + 2 else SHARED for i in range(n_layers)]
    return [NONE if i % step == 0 else kind for i, kind in enumerate(attending)]


def _periodic(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Every n-th layer attends to everything, the others keep a constant state."""
    interval = fields.whole(["full_attention_interval"], MAX_LAYERS)
    if interval:
        return _every(n_layers, interval, interval - 1, NONE)
    period = fields.whole(["attn_layer_period", "attention_layer_period"], MAX_LAYERS)
    if period:
        return _every(n_layers, period, fields.whole(["attn_layer_offset"], period - 1, least=0) or 0, NONE)
    step = fields.whole(["mamba_step"], MAX_LAYERS)
    if step:  # PLaMo 2
        attending = FULL if not fields.has(*WINDOW) else WINDOWED
        return [attending if kind == FULL else kind for kind in _every(n_layers, step, step // 2, NONE)]
    group = fields.whole(["layer_group_size"], MAX_LAYERS)
    return _every(n_layers, group, group - 1, NONE) if group else None


def _listed(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Lists of the layers that attend, by number or by name, under whatever name."""
    linear = fields.inside("linear_attn_config") if isinstance(fields.values.get("linear_attn_config"), dict) else None
    if linear is not None and linear.has("full_attn_layers"):
        linear.aside("kda_layers", "head_dim", "num_heads", "short_conv_kernel_size")  # of the others' constant states
        attending = lists.numbers(linear, "full_attn_layers", n_layers, first=1)
        return [FULL if i in attending else NONE for i in range(n_layers)]
    found = lists.by_numbers(fields, n_layers)
    return None if found is None else [*found]


def _any_list(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    found = lists.by_names(fields, n_layers) or lists.by_flags(fields, n_layers)
    return None if found is None else [*found]


def _flash_linear(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """flash-linear-attention's hybrids: `attn` names the layers that attend, with heads and window of their own."""
    attn = fields.values.get("attn")
    if not isinstance(attn, dict) or not isinstance(attn.get("layers"), list):
        return None
    inside = fields.inside("attn")
    attending = lists.numbers(inside, "layers", n_layers)
    kind = WINDOWED if inside.has(*WINDOW) else FULL
    return [kind if i in attending else NONE for i in range(n_layers)]


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
    if WINDOWED in kinds:
        notes.append("Local layers are counted with their window; transformers keeps all their tokens (GPT-Neo).")
    return fitting("attention_types", kinds, n_layers, fields)


MIXED = frozenset((
    "mamba_d_state", "mamba_d_conv", "mamba_n_heads", "mamba_num_heads", "ssm_state_size", "linear_num_key_heads",
    "linear_num_value_heads", "linear_key_head_dim", "lru_width", "conv_L_cache", "conv_l_cache", "gla_config", "rwkv_config",
))  # fmt: skip


def _refuse_unsaid(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Recurrent layers whose place nothing said."""
    mark = next((name for name in sorted(MIXED) if fields.values.get(name)), None)
    if mark is not None:
        raise ConfigError(f"some layers are recurrent ({mark}), but not said which; add layer_types, or model_type")
    return None


def _local(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """ModernBERT's decoder: every so manieth layer, from the first on, sees all; the others have half of local_attention."""
    if fields.whole(["local_attention"], MAX_TOKENS) is None or not fields.has("global_attn_every_n_layers"):
        return None
    return _every(n_layers, fields.whole(["global_attn_every_n_layers"], MAX_LAYERS) or 1, 0, WINDOWED)


def _chunked(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Llama 4: layers with positions look at chunks, those without at everything."""
    if fields.get("attention_chunk_size") is None:
        return None
    turned = fields.items("no_rope_layers", int, "0 and 1, one a layer")
    if turned:
        return [CHUNK if on else FULL for on in fitting("no_rope_layers", turned, n_layers, fields)]
    interval = fields.whole(["no_rope_layer_interval"], MAX_LAYERS) or 4
    notes.append(f"Which layers look at chunks is not said; all but every {interval}th are taken to, as in Llama 4.")
    return _every(n_layers, interval, interval - 1, CHUNK)


def _sliding(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    window = fields.get(*WINDOW)
    if window in (None, 0, -1) or fields.flag("use_sliding_window") is False:
        return None
    if isinstance(window, list):  # `layers.own` gives each layer its window, or none
        return [FULL] * n_layers
    pattern = fields.get("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers")
    if isinstance(pattern, str):
        return _letters(pattern, n_layers)
    if pattern is not None:
        step = whole("sliding_window_pattern", pattern, MAX_LAYERS)
        return _every(n_layers, step, step - 1, WINDOWED)
    return _upper(fields, n_layers, notes) or _unsaid(fields, n_layers, notes)


def _upper(fields: Fields, n_layers: int, notes: list[str]) -> Kinds | None:
    """Qwen 2: the layers from max_window_layers on have the window, if it is used at all."""
    first = fields.whole(["max_window_layers"], MAX_LAYERS, least=0)
    if first is None:
        return None
    if fields.flag("use_sliding_window") is None:
        notes.append("use_sliding_window is not given; the window is taken not to be used, as in Qwen 2.")
        return [FULL] * n_layers
    return [WINDOWED if i >= first else FULL for i in range(n_layers)]


def _unsaid(fields: Fields, n_layers: int, notes: list[str]) -> Kinds:
    """A window, and nothing about which layers have it."""
    if fields.get("rope_local_base_freq") is not None:
        raise ConfigError(
            "sliding_window is given, but not which layers have it; add layer_types or sliding_window_pattern"
        )
    if fields.get("attn_logit_softcapping") is not None or fields.get("cache_implementation") == "hybrid":
        notes.append("Which layers have the window is not said; every other one is taken to, as in Gemma 2.")
        return _every(n_layers, 2, 1, WINDOWED)
    if fields.get("query_pre_attn_scalar") is not None:  # a Gemma, and all but its first leave full layers in between
        raise ConfigError("sliding_window is given, but not which layers have it; add layer_types or model_type")
    notes.append("Which layers have the window is not said; all are taken to.")
    return [WINDOWED] * n_layers


def _letters(pattern: str, n_layers: int) -> Kinds:
    if not pattern or set(pattern) - set("LG"):
        raise ConfigError(f"sliding_window_pattern ({told(pattern)}) must be a number or made of L and G")
    kinds: Kinds = [WINDOWED if pattern[i % len(pattern)] == "L" else FULL for i in range(n_layers)]
    return [*kinds[:-1], FULL]  # the last layer attends to everything, whatever the pattern says (EXAONE 4)


def _every(n_layers: int, step: int, offset: int, others: str) -> Kinds:
    return [FULL if i % step == offset else others for i in range(n_layers)]


Rule = Callable[[Fields, int, list[str]], "Kinds | None"]
_RULES: tuple[Rule, ...] = (
    _named, _pattern, _numbered, _compressed, _sambay, _periodic, _listed, _gpt_neo, _flash_linear, _any_list, _local,
    _refuse_unsaid, _chunked,
    _sliding,
)  # fmt: skip
