"""What conversions to fewer KV heads share: neighbouring KV heads form a group, and each group becomes one (Ainslie et al.
2023, arXiv 2305.13245, section 2.1)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from headlight.core.attention import GQA, Attention
from headlight.core.positions.base import Position
from headlight.core.surgery.base import Conversion, Converted, Prepared, TrainedLayer, divisors, heads_of, with_kv_heads

Grouped = Float[Tensor, "n_kv_heads group head_dim in_dim"]
Kept = Float[Tensor, "n_kv_heads head_dim in_dim"]


class FewerHeads(Conversion):
    """The setting is the number of KV heads that are left, a divisor of those there are."""

    counts = "heads"

    def refusal(self, source: Attention, position: Position) -> str | None:
        """MQA has one KV head, which cannot become fewer."""
        heads = heads_of(source)
        if heads is not None and heads.n_kv_heads == 1:
            return "it has one KV head, which cannot become fewer"
        return super().refusal(source, position)

    def settings(self, source: GQA) -> Sequence[int]:
        """The divisors of its KV heads."""
        return divisors(source.n_kv_heads)

    def attention(self, source: GQA, setting: int) -> Attention:
        """GQA, MQA, or what it was."""
        return with_kv_heads(source, setting)

    def exact(self, source: GQA, position: Position, setting: int) -> bool:
        """Only where nothing changes."""
        return setting == source.n_kv_heads

    def prepare(self, layer: TrainedLayer) -> Prepared:
        """Nothing is shared by the settings."""
        return Prepared(lambda setting: self._cut(layer, setting))

    def _cut(self, layer: TrainedLayer, setting: int) -> Converted:
        source, params = layer.attention, dict(layer.params)
        if setting != source.n_kv_heads:
            params |= self.merged(layer, setting)
        return Converted(with_kv_heads(source, setting), params)

    @abstractmethod
    def merged(self, layer: TrainedLayer, n_kv_heads: int) -> dict[str, Tensor]:
        """The parameters that change when the heads of each group become one."""


class Picked(FewerHeads):
    """Each group's key and value weights become one head's, all in the same way; queries and output stay as they are."""

    def merged(self, layer: TrainedLayer, n_kv_heads: int) -> dict[str, Tensor]:
        """One head a group of k_proj and v_proj, as `pick` says."""
        names = [name for name in layer.params if name.startswith(("k_proj", "v_proj"))]
        return {name: self._picked(layer, name, n_kv_heads) for name in names}

    def _picked(self, layer: TrainedLayer, name: str, n_kv_heads: int) -> Tensor:
        # A bias is treated as one more column; without one, in_dim is d_model.
        rows, width = layer.params[name], layer.attention.head_dim
        columns = rows.reshape(n_kv_heads, layer.attention.n_kv_heads // n_kv_heads, width, -1)
        return self.pick(columns, name, layer.index).reshape(-1, *rows.shape[1:])

    @abstractmethod
    def pick(self, grouped: Grouped, name: str, layer: int) -> Kept:
        """One head for each group, of the parameter `name` in layer `layer`; a bias has in_dim 1."""
