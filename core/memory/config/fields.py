"""Fields of a config.json by any of their names, checked as they are read; which were read is remembered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_LAYERS, told, whole

# What the families of models call the same thing; the first that is there counts.
LAYERS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "num_transformer_layers",
    "num_decoder_layers",
    "decoder_layers",
    "n_block",
)
HEADS = (
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_heads",
    "num_query_heads",
    "attention_heads",
    "decoder_attention_heads",
    "n_attention_heads",
    "num_q_heads",
)
KV_HEADS = (
    "num_key_value_heads",
    "num_kv_heads",
    "n_kv_heads",
    "n_head_kv",
    "n_kv_head",
    "kv_n_heads",
    "num_heads_kv",
    "num_attention_groups",
    "multi_query_group_num",
    "num_key_value_attention_heads",
    "num_query_groups",
    "kv_heads",
)
WIDTH = ("hidden_size", "n_embd", "n_embed", "d_model", "dim", "model_dim", "embed_dim")
HEAD_DIM = (
    "head_dim",
    "attention_head_dim",
    "d_kv",
    "d_head",
    "kv_channels",
    "attention_head_size",
    "head_size",
    "dim_head",
)
CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "max_sequence_length",
    "seq_length",
    "max_context_length",
    "max_target_positions",
)
WINDOW = (
    "sliding_window",
    "sliding_window_size",
    "attention_window_size",
    "window_size",
    "interleaved_sliding_window",
    "local_window_size",
    "window_length",
    "attention_window",
    "swa_window_size",
)
ALIASES = (LAYERS, HEADS, KV_HEADS, WIDTH, HEAD_DIM, CONTEXT, WINDOW)


def names_of(name: str) -> tuple[str, ...]:
    """All names of what `name` is called by, itself alone where it has one name.

    >>> names_of("n_embd")[:2]
    ('hidden_size', 'n_embd')
    """
    return next((group for group in ALIASES if name in group), (name,))


class Fields:
    """The fields of one object; null counts as not there.

    read: names that were asked for; objects inside: their own Fields, so that what was read of them is remembered, too.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.read: set[str] = set()
        self.objects: dict[str, Fields] = {}

    def get(self, *names: str) -> Any:
        """The first of the names that is there, or None."""
        self.read.update(names)
        return next((self.values[name] for name in names if self.values.get(name) is not None), None)

    def aside(self, *names: str) -> None:
        """These have no say, whatever they hold: they count as understood."""
        self.read.update(names)

    def named(self, *names: str) -> str:
        """The first of the names that is there, else the first of them: for messages."""
        return next((name for name in names if self.values.get(name) is not None), names[0])

    def has(self, *names: str) -> bool:
        """Whether one of the names is there, without counting as read."""
        return any(self.values.get(name) is not None for name in names)

    def whole(self, names: Sequence[str], most: int, least: int = 1) -> int | None:
        """A whole number or None; raises ConfigError with the field's name, its value and the limits."""
        value = self.get(*names)
        return None if value is None else whole(self.named(*names), value, most, least)

    def single(self, names: Sequence[str], most: int, least: int = 1) -> int | None:
        """As `whole`, but None for a list, which holds one number a layer (`layers.own`)."""
        return None if isinstance(self.get(*names), list) else self.whole(names, most, least)

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
        return self.objects.setdefault(name, Fields(value or {}))


class Filled(Fields):
    """Fields of a file and, where it leaves some out, of the class that it names.

    filled: the names of those that come from the class.
    """

    def __init__(self, values: Mapping[str, Any], left_out: Mapping[str, Any]) -> None:
        super().__init__({**left_out, **values})
        self.filled: Collection[str] = left_out.keys() - values.keys()
        self.asked: set[str] = set()

    def get(self, *names: str) -> Any:
        """As `Fields.get`; the one that is taken is remembered."""
        value = super().get(*names)
        if value is not None:
            self.asked.add(self.named(*names))
        return value

    @property
    def used(self) -> list[str]:
        """Which of the class's fields were read and say something, in the order of their names."""
        return sorted(name for name in self.asked.intersection(self.filled) if self.values[name] is not False)
