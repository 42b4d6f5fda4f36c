"""Layers that read another layer's keys and values, and layers that are run more than once."""

from __future__ import annotations

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_LAYERS, told, whole
from headlight.core.memory.config.fields import Fields
from headlight.core.memory.config.layers.kinds import SHARED, Compressed, Kinds
from headlight.core.memory.config.layers.lists import NONE

# How often all layers are run, each time with a cache of its own.
LOOPS = (
    "total_ut_steps", "num_loops", "num_loop", "n_loops", "loop_count", "loop_num", "num_ut_steps", "ut_steps",
    "num_recursions", "num_recursion", "num_recurrences",
)  # fmt: skip
# For each layer, the layer whose keys and values it reads.
_SOURCES = (
    "kv_source_layers",
    "kv_source_layer",
    "kv_share_map",
    "kv_sharing_map",
    "kv_layer_map",
    "kv_reuse_layers",
    "kv_sources",
)
_COUNTS = ("num_kv_shared_layers", "num_shared_kv_layers", "n_kv_shared_layers")
_FACTORS = ("cla_share_factor", "kv_share_factor", "kv_sharing_factor", "cross_layer_kv_sharing_factor")


def shared(fields: Fields, kinds: Kinds) -> Kinds:
    """The kinds, those of layers that keep nothing of their own replaced. Raises ConfigError for numbers that cannot be."""
    n_layers = len(kinds)
    last = fields.whole(_COUNTS, n_layers - 1, least=0) or 0
    factor = (fields.whole(_FACTORS, n_layers) or 1) if fields.flag("use_cla") is not False else 1
    reading = {i for i in range(n_layers) if i >= n_layers - last or i % factor} | _reading(fields, n_layers)
    if reading and any(isinstance(kind, Compressed) for kind in kinds):
        raise ConfigError("layers that share keys and values beside compressed ones are not known here")
    return [SHARED if i in reading and kind != NONE else kind for i, kind in enumerate(kinds)]


def _reading(fields: Fields, n_layers: int) -> set[int]:
    """The layers of which a list or an object says that they read another's."""
    groups = fields.items("kv_reuse_group", list, "groups of layers")
    if groups:  # Hymba: the first of each group keeps what the others read
        return {whole("an entry of kv_reuse_group", i, n_layers - 1, least=0) for group in groups for i in group[1:]}
    name = next((name for name in _SOURCES if fields.values.get(name)), None)
    if name is None:
        return set()
    value = fields.get(name)
    if isinstance(value, dict):
        pairs = [
            (int(key), source) for key, source in value.items() if key.isascii() and key.isdecimal() and len(key) < 9
        ]
    elif isinstance(value, list) and len(value) == n_layers:
        pairs = list(enumerate(value))
    else:
        raise ConfigError(f"{name} ({told(value)}) must say for each layer whose keys it reads")
    other = {i for i, source in pairs if source not in (None, -1, i, str(i))}
    return {whole(f"a layer of {name}", i, n_layers - 1, least=0) for i in other}


def loops(fields: Fields, notes: list[str]) -> int:
    """How many caches each layer keeps, because all layers are run so often."""
    times = fields.whole(LOOPS, MAX_LAYERS) or 1
    if times > 1:
        notes.append(
            f"Its layers are run {times} times ({fields.named(*LOOPS)}), and each pass keeps a cache of its own."
        )
    return times
