"""What a model's cache is made of: layers in groups, and what one layer of a group keeps for a token.

Nothing here knows a model's name: a cache follows from heads, widths, windows and how many layers have which.
"""

from __future__ import annotations

from dataclasses import dataclass

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_HEADS, MAX_LAYERS, MAX_TOKENS, MAX_WIDTH, whole
from headlight.core.memory.precision import precision


@dataclass(frozen=True)
class Heads:
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
    def elements(self) -> int:
        """Numbers kept a token and layer: keys and values of all KV heads."""
        return self.n_kv_heads * (self.head_dim + self.v_head_dim)


@dataclass(frozen=True)
class Latent:
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
    def elements(self) -> int:
        """Numbers kept a token and layer; the latent holds keys and values both."""
        return self.kv_lora_rank + self.qk_rope_head_dim


Row = Heads | Latent


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
    beside each row; reason: why it keeps nothing.
    """

    count: int
    row: Row | None
    window: int | None = None
    chunked: bool = False
    every: int = 1
    indexer: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        whole("layers", self.count, MAX_LAYERS)
        whole("indexer", self.indexer, MAX_WIDTH, least=0)
        whole("tokens to one kept row", self.every, MAX_TOKENS)
        if self.window is not None:
            whole("window", self.window, MAX_TOKENS)

    @property
    def elements(self) -> int:
        """Numbers that one of its layers keeps for one row."""
        return 0 if self.row is None else self.row.elements + self.indexer

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
    layers); mla: MLA's five numbers where it has them; indexer_dim: numbers a token and layer that a sparse-attention
    indexer keeps beside the cache, told apart from it; max_context: tokens, None if not known; native: the precision it
    is published in, of `headlight.core.memory.precision.PRECISIONS`; parameters: how many weights it has, None if not known.
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

    def __post_init__(self) -> None:
        whole("n_layers", self.n_layers, MAX_LAYERS)
        whole("n_heads", self.n_heads, MAX_HEADS)
        precision(self.native)
        counts = [group.count for group in self.groups if group.every == 1]
        if sum(counts) != self.n_layers:
            raise ConfigError(
                f"the groups' layers ({' + '.join(map(str, counts))}) must add up to n_layers ({self.n_layers})"
            )
        if max(group.count for group in self.groups) > self.n_layers:
            raise ConfigError(f"no group may have more layers than n_layers ({self.n_layers})")
        for group in self.groups:
            if isinstance(group.row, Heads) and self.n_heads % group.row.n_kv_heads:
                raise ConfigError(f"n_heads ({self.n_heads}) must be a multiple of n_kv_heads ({group.row.n_kv_heads})")

    @property
    def windowed(self) -> bool:
        """Whether some of its layers stop growing."""
        return any(group.window is not None for group in self.groups)

    @property
    def compressed(self) -> bool:
        """Whether some of its layers keep one row for several tokens."""
        return any(group.every > 1 for group in self.groups)


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
