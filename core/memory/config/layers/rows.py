"""What one layer of a config.json keeps a token: keys and values of heads, or MLA's latent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_HEADS, MAX_TOKENS, MAX_WIDTH
from headlight.core.memory.config.fields import HEAD_DIM, HEADS, KV_HEADS, WIDTH, WINDOW, Fields
from headlight.core.memory.config.layers.kinds import SHARED, Kind
from headlight.core.memory.config.layers.lists import CHUNK, CROSS, FULL, NONE, WINDOWED
from headlight.core.memory.config.layers.own import Own
from headlight.core.memory.shape import CacheRow, Heads, Latent, LayerGroup, MLADims

REASONS = {
    NONE: "a constant state instead of a growing cache, or no attention",
    SHARED: "reads the keys and values of another layer",
    CROSS: "keeps keys and values of a picture, not of the text",
}
_PARTS = ("attn_config", "attn_cfg", "attn", "attention", "attention_config")
_PREFIXES = {WINDOWED: "swa_", FULL: "global_"}


@dataclass(frozen=True)
class Rows:
    """Makes the groups of single layers. n_heads: query heads, 0 if not known; mla: MLA's numbers where the model has them;
    one_vector: the key is the value, too.
    """

    fields: Fields
    n_heads: int
    mla: MLADims | None
    one_vector: bool = False

    def layer(self, kind: Kind, own: Own) -> list[LayerGroup]:
        """What one layer keeps: one group, or for a compressed cache two. Raises ConfigError for what cannot be."""
        kind = own.get("kind", kind) if kind in (FULL, WINDOWED) or own.get("kind") == NONE else kind
        if isinstance(kind, str) and kind in REASONS:
            return [LayerGroup(1, None, reason=REASONS[kind])]
        row, n_heads = self._row(kind, own), self._own_heads(kind, own)
        if kind == FULL:
            return [LayerGroup(1, row, n_heads=n_heads)]
        window = own.get(WINDOW[0]) or self.fields.single(_window_names(kind), MAX_TOKENS) or self._swa_window()
        if window is None:
            raise ConfigError(f"some layers have a window, but {_window_names(kind)[0]} is missing")
        if isinstance(kind, str):
            return [LayerGroup(1, row, window, chunked=kind == CHUNK, n_heads=n_heads)]
        indexer = (self.fields.whole(["index_head_dim"], MAX_WIDTH) or 0) if kind.indexed else 0
        return [
            LayerGroup(1, row, window),
            LayerGroup(1, row, every=kind.every, indexer=indexer, beside=kind.every == 1),
        ]

    def _swa_window(self) -> int | None:
        local = self.fields.whole(["local_attention"], MAX_TOKENS, least=2)
        if local:  # ModernBERT: half of it to each side
            return local // 2
        inside = part_of(self.fields)
        return inside.single(WINDOW, MAX_TOKENS) if inside else None

    def _own_heads(self, kind: Kind, own: Own) -> int:
        """Query heads of this layer where they are not as many as the model's."""
        self.fields.aside("swa_num_attention_heads", "num_sliding_attention_heads")
        named = {WINDOWED: ("swa_num_attention_heads", "num_sliding_attention_heads")}.get(str(kind), ())
        many = own.get(HEADS[0]) or (self.fields.whole(named, MAX_HEADS) if named else None) or self.n_heads
        return 0 if many == self.n_heads else many

    def _row(self, kind: Kind, own: Own) -> CacheRow:
        if self.mla is not None:
            names = ("kv_lora_rank", "qk_rope_head_dim")
            self.fields.aside("swa_qk_nope_head_dim", "swa_v_head_dim", "global_head_dim", "swa_head_dim")
            rank, rope = (own[n] if n in own else self._special(kind, n) or getattr(self.mla, n) for n in names)
            return Latent(rank, rope)
        head_dim = own.get(HEAD_DIM[0]) or self._special(kind, "head_dim") or self._head_dim(own)
        v_head_dim = (
            own.get("v_head_dim") or self._special(kind, "v_head_dim")
            or self.fields.whole(["v_head_dim"], MAX_WIDTH, least=0) or head_dim
        )  # fmt: skip
        return Heads(self._kv_heads(kind, own), head_dim, 0 if self.one_vector else v_head_dim)

    def _special(self, kind: Kind, name: str) -> int | None:
        """Another width where there is a window (swa_) or none (global_)."""
        prefix = _PREFIXES.get(str(kind))
        return self.fields.whole([f"{prefix}{name}"], MAX_WIDTH, least=0) if prefix else None

    def _head_dim(self, own: Own) -> int:
        inside = part_of(self.fields)
        given = (inside.whole(HEAD_DIM, MAX_WIDTH) if inside else None) or self.fields.whole(
            HEAD_DIM, MAX_WIDTH, least=0
        )
        if given:
            return given
        n_heads = own.get(HEADS[0], self.n_heads)
        d_model = self.fields.needed(WIDTH, MAX_WIDTH, "head_dim, nor a model's width to divide by the heads,")
        if not n_heads:
            raise ConfigError(f"no number of attention heads is given; the field is called {' or '.join(HEADS[:3])}")
        if d_model % n_heads:
            raise ConfigError(
                f"{self.fields.named(*WIDTH)} ({d_model}) must be a multiple of the heads ({n_heads}) "
                "where no head_dim is given"
            )
        return d_model // n_heads

    def _kv_heads(self, kind: Kind, own: Own) -> int:
        n_heads = own.get(HEADS[0], self.n_heads)
        if own.get(KV_HEADS[0]):
            return int(own[KV_HEADS[0]])
        if own.get("n_heads_in_group"):
            return _divided(n_heads, own["n_heads_in_group"], "n_heads_in_group")
        names = {
            WINDOWED: ("swa_num_key_value_heads", "num_sliding_key_value_heads"),
            FULL: ("num_global_key_value_heads",),
        }
        many = self.fields.whole(names[str(kind)], MAX_HEADS) if str(kind) in names else None
        return many or kv_heads(self.fields, n_heads)


def part_of(fields: Fields) -> Fields | None:
    """The object about attention inside, where there is one (MPT's attn_config, flash-linear-attention's attn)."""
    first = fields.inside(_PARTS[0])  # refuses what is no object
    if first.values:
        return first
    return next((fields.inside(name) for name in _PARTS if isinstance(fields.values.get(name), dict)), None)


def query_heads(fields: Fields) -> int | None:
    """Query heads; None where nothing says how many."""
    inside = part_of(fields)
    if inside is not None and inside.has(*HEADS):
        fields.aside(*HEADS)  # of the layers that do not attend (flash-linear-attention)
    return (inside.whole(HEADS, MAX_HEADS) if inside else None) or fields.single(HEADS, MAX_HEADS)


def kv_heads(fields: Fields, n_heads: int) -> int:
    """KV heads as the whole model has them; raises ConfigError where they do not follow."""
    if fields.flag("multi_query") and not fields.flag("new_decoder_architecture"):
        fields.aside(*KV_HEADS)
        return 1
    inside = part_of(fields)
    kind = inside.get("attn_type") if inside else None
    if kind == "multiquery_attention":
        return 1
    many = inside.whole(KV_HEADS, MAX_HEADS) if inside and kind != "multihead_attention" else None
    if fields.flag("multi_query_attention") is False:
        fields.aside("multi_query_group_num")
        return n_heads
    many = many or fields.single(KV_HEADS, MAX_HEADS) or _of_groups(fields, n_heads) or n_heads
    if not many:
        raise ConfigError(f"no number of attention heads is given; the field is called {' or '.join(HEADS[:3])}")
    return many


def _of_groups(fields: Fields, n_heads: int) -> int | None:
    """num_key_value_groups: query heads to one KV head."""
    group = fields.whole(["num_key_value_groups", "n_heads_in_group"], MAX_HEADS)
    return _divided(n_heads, group, "num_key_value_groups") if group else None


def _divided(n_heads: int, group: int, name: str) -> int:
    if not n_heads or n_heads % group:
        raise ConfigError(f"{name} ({group}) must divide the query heads ({n_heads})")
    return n_heads // group


def _window_names(kind: Kind) -> tuple[str, ...]:
    return ("attention_chunk_size",) if kind == CHUNK else WINDOW


def mla_of(fields: Fields) -> MLADims | None:
    """MLA's five numbers; None without MLA. Raises ConfigError where one of them is missing."""
    rank: Any = fields.whole(["kv_lora_rank"], MAX_WIDTH, least=0)
    if not rank or fields.flag("use_mla") is False:
        fields.aside("qk_nope_head_dim", "qk_rope_head_dim", "q_lora_rank", "qk_head_dim")
        return None
    nope, v = (fields.needed([n], MAX_WIDTH, "width of MLA's heads") for n in ("qk_nope_head_dim", "v_head_dim"))
    rope = fields.whole(["qk_rope_head_dim"], MAX_WIDTH, least=0)
    if rope is None:
        raise ConfigError("kv_lora_rank is given, so the model has MLA, but qk_rope_head_dim is missing")
    fields.aside(*KV_HEADS, *HEAD_DIM)  # MLA configs repeat them; they do not change what is kept
    return MLADims(rank, nope, rope, v, fields.whole(["q_lora_rank"], MAX_WIDTH, least=0) or 0)
