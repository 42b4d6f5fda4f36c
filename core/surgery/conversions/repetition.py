"""Repetition: every query head gets a copy of the KV head that it read, so GQA or MQA becomes MHA. Exact, and larger.

It is the step that inverts grouping (Ainslie et al. 2023, arXiv 2305.13245, section 2.2: MHA is GQA with a KV head a query
head), and the proof that MHA can do all that GQA can.
"""

from __future__ import annotations

from collections.abc import Sequence

from headlight.core.attention import GQA, Attention
from headlight.core.attention.folds import repeat_heads
from headlight.core.positions.base import Position
from headlight.core.surgery.base import Conversion, Converted, Prepared, TrainedLayer, heads_of, with_kv_heads


class Repetition(Conversion):
    """The setting is n_heads, and there is no other."""

    title = "Repetition to MHA"
    about = (
        "Every query head gets its own copy of the key and value head that it reads. The cache grows, nothing is lost."
    )
    source = "Ainslie et al. 2023, GQA, arXiv 2305.13245, section 2.2"
    counts = "heads"

    def refusal(self, source: Attention, position: Position) -> str | None:
        """MHA has a KV head for every query head."""
        heads = heads_of(source)
        if heads is not None and heads.n_kv_heads == heads.n_heads:
            return "each of its query heads has a KV head of its own already"
        return super().refusal(source, position)

    def _needed(self, source: GQA) -> str:
        return "that of the query heads"

    def settings(self, source: GQA) -> Sequence[int]:
        """n_heads."""
        return (source.n_heads,)

    def attention(self, source: GQA, setting: int) -> Attention:
        """MHA."""
        return with_kv_heads(source, setting)

    def exact(self, source: GQA, position: Position, setting: int) -> bool:
        """Always."""
        return True

    def prepare(self, layer: TrainedLayer) -> Prepared:
        """Nothing is shared."""
        return Prepared(lambda setting: _repeated(layer, setting))


def _repeated(layer: TrainedLayer, n_heads: int) -> Converted:
    source = layer.attention
    return Converted(with_kv_heads(source, n_heads), repeat_heads(layer.params, source, n_heads))
