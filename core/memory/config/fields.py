"""Fields of a config.json by any of their names, checked as they are read; which were read is remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_LAYERS, told, whole

# What the families of models call the same thing.
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_transformer_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
KV_HEADS = (
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "kv_n_heads",
    "num_attention_groups",
    "multi_query_group_num",
)
WIDTH = ("hidden_size", "n_embd", "d_model", "dim", "model_dim")
HEAD_DIM = ("head_dim", "kv_channels", "attention_head_dim", "d_kv")
CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length")
WINDOW = ("sliding_window", "sliding_window_size", "attention_window_size", "window_size")


class Fields:
    """The fields of one object; null counts as not there."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.read: set[str] = set()

    def get(self, *names: str) -> Any:
        """The first of the names that is there, or None."""
        self.read.update(names)
        return next((self.values[name] for name in names if self.values.get(name) is not None), None)

    def named(self, *names: str) -> str:
        """The first of the names that is there, else the first of them: for messages."""
        return next((name for name in names if self.values.get(name) is not None), names[0])

    def whole(self, names: Sequence[str], most: int, least: int = 1) -> int | None:
        """A whole number or None; raises ConfigError with the field's name, its value and the limits."""
        value = self.get(*names)
        return None if value is None else whole(self.named(*names), value, most, least)

    def needed(self, names: Sequence[str], most: int, what: str) -> int:
        """A whole number that must be there; raises ConfigError that says what is missing and what it may be called."""
        value = self.whole(names, most)
        if value is None:
            raise ConfigError(f"no {what} is given; the field is called {' or '.join(names[:3])}")
        return value

    def flag(self, name: str) -> bool | None:
        """true, false or None; raises ConfigError for anything else."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise ConfigError(f"{name} ({told(value)}) must be true or false")
        return value

    def items(self, name: str, kind: type, what: str) -> list[Any] | None:
        """A list whose entries are all of one kind, or None; raises ConfigError for anything else."""
        value = self.get(name)
        if isinstance(value, list) and len(value) > 2 * MAX_LAYERS:
            raise ConfigError(f"{name} has {len(value):,} entries; {2 * MAX_LAYERS:,} are the limit")
        good = isinstance(value, list) and all(
            isinstance(v, kind) and (kind is bool or not isinstance(v, bool)) for v in value
        )
        if value is not None and not good:
            raise ConfigError(f"{name} ({told(value)}) must be a list of {what}")
        return value

    def inside(self, name: str) -> Fields:
        """The fields of an object inside this one, empty where there is none; raises ConfigError for anything else."""
        value = self.get(name)
        if value is not None and not isinstance(value, dict):
            raise ConfigError(f"{name} ({told(value)}) must be an object")
        return Fields(value or {})
