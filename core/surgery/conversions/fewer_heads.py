"""What conversions to fewer KV heads share: neighbouring KV heads form a group, and each group becomes one (Ainslie et al.
2023, arXiv 2305.13245, section 2.1). Query and output projections stay as they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from headlight.core.attention import GQA, Attention
from headlight.core.positions.base import Position
from headlight.core.surgery.base import Conversion, Converted, Layer, Prepared, divisors, heads_of, with_kv_heads
from jaxtyping import Float
from torch import Tensor

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

    def prepare(self, layer: Layer) -> Prepared:
        """Nothing is shared by the settings."""
        return Prepared(lambda setting: self._cut(layer, setting))

    def _cut(self, layer: Layer, setting: int) -> Converted:
        source, params = layer.attention, dict(layer.params)
        if setting != source.n_kv_heads:
            group = source.n_kv_heads // setting
            for name in [name for name in params if name.startswith(("k_proj", "v_proj"))]:
                # A bias is treated as one more column; without one, in_dim is d_model.
                columns = params[name].reshape(setting, group, source.head_dim, -1)
                params[name] = self.pick(columns, name, layer.index).reshape(-1, *params[name].shape[1:])
        return Converted(with_kv_heads(source, setting), params)

    @abstractmethod
    def pick(self, grouped: Grouped, name: str, layer: int) -> Kept:
        """One head for each group, of the parameter `name` in layer `layer`; a bias has in_dim 1."""
