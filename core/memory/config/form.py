"""A cache's shape from the fields of a form: heads, or MLA's five numbers, with windows and layers that keep nothing."""

from __future__ import annotations

from dataclasses import dataclass

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_LAYERS, whole
from headlight.core.memory.shape import CacheRow, CacheShape, Heads, LayerGroup, MLADims

_STATEFUL = "a constant state instead of a growing cache"


@dataclass(frozen=True)
class Odd:
    """Layers that are not like the others: `windowed` of them have a window of `window` tokens, `stateful` keep nothing."""

    window: int = 4096
    windowed: int = 0
    stateful: int = 0

    def __post_init__(self) -> None:
        whole("layers with a window", self.windowed, MAX_LAYERS, least=0)
        whole("layers without a cache", self.stateful, MAX_LAYERS, least=0)


def of_form(
    n_layers: int, n_heads: int, kept: Heads | MLADims, odd: Odd | None = None, name: str = "Your model"
) -> CacheShape:
    """A model of n_layers layers, some of them odd; raises ConfigError where those are more than there are.

    >>> gemma = of_form(62, 32, Heads(16, 128, 128), Odd(window=1024, windowed=52))
    >>> [(group.count, group.window) for group in gemma.groups]
    [(10, None), (52, 1024)]
    """
    odd = odd or Odd()
    full = whole("n_layers", n_layers, MAX_LAYERS) - odd.windowed - odd.stateful
    if full < 0:
        raise ConfigError(
            f"layers with a window ({odd.windowed}) and without a cache ({odd.stateful}) must be at most the {n_layers} layers"
        )
    mla = kept if isinstance(kept, MLADims) else None
    row: CacheRow = kept.row if isinstance(kept, MLADims) else kept
    groups = (
        *([LayerGroup(full, row)] if full else []),
        *([LayerGroup(odd.windowed, row, odd.window)] if odd.windowed else []),
        *([LayerGroup(odd.stateful, None, reason=_STATEFUL)] if odd.stateful else []),
    )
    return CacheShape(name, n_layers, n_heads, groups, mla)
