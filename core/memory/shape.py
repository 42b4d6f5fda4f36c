"""What a model's cache is made of: layers in groups, and what one layer of a group keeps for a token.

Nothing here knows a model's name: a cache follows from heads, widths, windows and how many layers have which. Every attention
says of itself what it keeps (`Attention.cache_row`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_HEADS, MAX_LAYERS, MAX_TOKENS, MAX_WIDTH, whole
from headlight.core.memory.precision import precision


@dataclass(frozen=True)
class CachePart:
    """One tensor of a layer's cache.

    name: as a decoder's cache calls it ("k", "c_kv"); kind: what it is counted as, of `sizes.PARTS` or a new one; width:
    elements of one head, or of the one vector that all heads share; heads: KV heads that keep one each, None where it is
    shared; rotated: kept after the position encoding acted on it, if the encoding acts on keys (RoPE).
    """

    name: str
    kind: str
    width: int
    heads: int | None = None
    rotated: bool = False

    def __post_init__(self) -> None:
        whole(f"the width of {self.name}", self.width, MAX_WIDTH, least=0)
        if self.heads is not None:
            whole(f"the heads of {self.name}", self.heads, MAX_HEADS)

    @property
    def elements(self) -> int:
        """Elements kept per token per layer."""
        return self.width * (self.heads or 1)

    def shape(self, length: int) -> tuple[int, ...]:
        """The tensor's shape after `length` tokens: (heads, length, width), or (length, width) where all heads share it."""
        return (length, self.width) if self.heads is None else (self.heads, length, self.width)


class CacheRow(ABC):
    """Everything that one layer keeps for one token."""

    @property
    @abstractmethod
    def parts(self) -> tuple[CachePart, ...]:
        """The tensors, in the order in which a decoder's cache holds them."""

    @property
    def elements(self) -> int:
        """Elements kept per token per layer."""
        return sum(part.elements for part in self.parts)

    def part(self, kind: str) -> CachePart | None:
        """The first part of a kind ("latent", "rotated"), None where nothing of it is kept."""
        return next((part for part in self.parts if part.kind == kind), None)


@dataclass(frozen=True)
class Parts(CacheRow):
    """A row of any parts.

    >>> row = Parts((CachePart("c_kv", "latent", 128), CachePart("k_rope", "rotated", 16, heads=3, rotated=True)))
    >>> row.elements, [part.shape(5) for part in row.parts]
    (176, [(5, 128), (3, 5, 16)])
    """

    kept: tuple[CachePart, ...]

    def __post_init__(self) -> None:
        names = [part.name for part in self.kept]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"the parts of a cache ({', '.join(names)}) must be one or more, each with its own name")

    @property
    def parts(self) -> tuple[CachePart, ...]:
        """As they were given."""
        return self.kept


@dataclass(frozen=True)
class Heads(CacheRow):
    """Keys and values of n_kv_heads heads (MHA, GQA, MQA); v_head_dim 0: the key serves as the value, too.

    >>> Heads(n_kv_heads=8, head_dim=128, v_head_dim=128).elements
    2048
    """

    n_kv_heads: int
    head_dim: int
    v_head_dim: int

    def __post_init__(self) -> None:
        whole("n_kv_heads", self.n_kv_heads, MAX_HEADS)
        whole("head_dim", self.head_dim, MAX_WIDTH)
        whole("v_head_dim", self.v_head_dim, MAX_WIDTH, least=0)

    @property
    def parts(self) -> tuple[CachePart, ...]:
        """Rotated keys, and values; or the one vector that is both."""
        if not self.v_head_dim:
            return (CachePart("k", "one", self.head_dim, self.n_kv_heads, rotated=True),)
        return (
            CachePart("k", "keys", self.head_dim, self.n_kv_heads, rotated=True),
            CachePart("v", "values", self.v_head_dim, self.n_kv_heads),
        )


@dataclass(frozen=True)
class Latent(CacheRow):
    """MLA's row: the latent and one rotated key for all heads together (DeepSeek-V2, Table 1: d_c + d_h^R).

    >>> Latent(kv_lora_rank=512, qk_rope_head_dim=64).elements
    576
    """

    kv_lora_rank: int
    qk_rope_head_dim: int

    def __post_init__(self) -> None:
        whole("kv_lora_rank", self.kv_lora_rank, MAX_WIDTH)
        whole("qk_rope_head_dim", self.qk_rope_head_dim, MAX_WIDTH, least=0)

    @property
    def parts(self) -> tuple[CachePart, ...]:
        """The latent, from which keys and values are made, and the rotated key."""
        return (
            CachePart("c_kv", "latent", self.kv_lora_rank),
            CachePart("k_rope", "rotated", self.qk_rope_head_dim, rotated=True),
        )


@dataclass(frozen=True)
class MLADims:
    """The five numbers of MLA; q_lora_rank (0: none) does not change the cache, the other four do."""

    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    q_lora_rank: int = 0

    def __post_init__(self) -> None:
        for name in ("kv_lora_rank", "qk_nope_head_dim", "v_head_dim"):
            whole(name, getattr(self, name), MAX_WIDTH)
        for name in ("qk_rope_head_dim", "q_lora_rank"):
            whole(name, getattr(self, name), MAX_WIDTH, least=0)

    @property
    def row(self) -> Latent:
        """What is kept."""
        return Latent(self.kv_lora_rank, self.qk_rope_head_dim)


@dataclass(frozen=True)
class LayerGroup:
    """`count` layers alike. row: what one of them keeps a token, None for a layer without a cache that grows (a linear
    attention or state-space layer, one without attention, or one that reads another layer's keys and values).

    window: tokens after which it stops growing (None: never); chunked: its window is a chunk of the text that starts
    afresh, not one that slides; every: tokens to one kept row (compressed caches); indexer: numbers that an indexer keeps
    beside each row; reason: why it keeps nothing; n_heads: its query heads (0: as many as the shape's); beside: it stands
    beside another group of the same layers, as compressed rows (every > 1) always do.
    """

    count: int
    row: CacheRow | None
    window: int | None = None
    chunked: bool = False
    every: int = 1
    indexer: int = 0
    reason: str = ""
    n_heads: int = 0
    beside: bool = False

    def __post_init__(self) -> None:
        whole("layers", self.count, MAX_LAYERS)
        whole("n_heads", self.n_heads, MAX_HEADS, least=0)
        whole("indexer", self.indexer, MAX_WIDTH, least=0)
        whole("tokens to one kept row", self.every, MAX_TOKENS)
        if self.window is not None:
            whole("window", self.window, MAX_TOKENS)

    @property
    def elements(self) -> int:
        """Numbers that one of its layers keeps for one row."""
        return 0 if self.row is None else self.row.elements + self.indexer

    @property
    def counts(self) -> bool:
        """Whether its layers are counted here, not in another group that it stands beside."""
        return self.every == 1 and not self.beside

    @property
    def grows(self) -> bool:
        """Whether it keeps growing however long the text is."""
        return self.row is not None and self.window is None

    def rows(self, context: int) -> int:
        """Rows that one of its layers keeps after `context` tokens."""
        return min(context, self.window or context) // self.every if self.row is not None else 0


@dataclass(frozen=True)
class CacheShape:
    """Everything that the size of a model's cache follows from.

    n_heads: query heads; groups: its layers (a compressed group, every > 1, stands beside another group of the same
    layers); mla: MLA's five numbers where it has them; indexer_dim: values per token per layer that a sparse-attention
    indexer keeps beside the cache, told apart from it; indexer_layers: how many layers have one (None: all);
    max_context: tokens, None if not known; native: the precision it is published in, of
    `headlight.core.memory.precision.PRECISIONS`; parameters: how many weights it has, None if not known.
    """

    name: str
    n_layers: int
    n_heads: int
    groups: tuple[LayerGroup, ...]
    mla: MLADims | None = None
    d_model: int | None = None
    max_context: int | None = None
    native: str = "bf16"
    parameters: int | None = None
    indexer_dim: int = 0
    indexer_layers: int | None = None

    def __post_init__(self) -> None:
        whole("n_layers", self.n_layers, MAX_LAYERS)
        whole("n_heads", self.n_heads, MAX_HEADS)
        precision(self.native)
        counts = [group.count for group in self.groups if group.counts]
        if sum(counts) != self.n_layers:
            raise ConfigError(
                f"the groups' layers ({' + '.join(map(str, counts))}) must add up to n_layers ({self.n_layers})"
            )
        if max(group.count for group in self.groups) > self.n_layers:
            raise ConfigError(f"no group may have more layers than n_layers ({self.n_layers})")
        for group in self.groups:
            _check_heads(group, group.n_heads or self.n_heads)
        if self.indexer_layers is not None:
            whole("layers with an indexer", self.indexer_layers, self.n_layers, least=0)

    @property
    def indexed(self) -> int:
        """How many layers keep an indexer's values."""
        return (self.n_layers if self.indexer_layers is None else self.indexer_layers) if self.indexer_dim else 0

    @property
    def windowed(self) -> bool:
        """Whether some of its layers stop growing."""
        return any(group.window is not None for group in self.groups)

    @property
    def compressed(self) -> bool:
        """Whether some of its layers keep one row for several tokens."""
        return any(not group.counts for group in self.groups)


def _check_heads(group: LayerGroup, n_heads: int) -> None:
    for part in group.row.parts if group.row is not None else ():
        if part.heads is not None and n_heads % part.heads:
            raise ConfigError(f"n_heads ({n_heads}) must be a multiple of n_kv_heads ({part.heads})")


def of_heads(
    n_layers: int,
    n_heads: int,
    n_kv_heads: int,
    head_dim: int,
    v_head_dim: int | None = None,
    *,
    name: str = "",
    native: str = "bf16",
) -> CacheShape:
    """A model whose layers all keep keys and values of n_kv_heads heads.

    >>> of_heads(126, n_heads=128, n_kv_heads=8, head_dim=128).groups[0].elements
    2048
    """
    row = Heads(n_kv_heads, head_dim, head_dim if v_head_dim is None else v_head_dim)
    return CacheShape(name, n_layers, n_heads, (LayerGroup(n_layers, row),), native=native)


def of_mla(n_layers: int, n_heads: int, mla: MLADims, *, name: str = "", native: str = "bf16") -> CacheShape:
    """A model whose layers all keep MLA's latent."""
    return CacheShape(name, n_layers, n_heads, (LayerGroup(n_layers, mla.row),), mla, native=native)
