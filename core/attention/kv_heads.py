"""What attention with queries and outputs of whole heads shares: MHA, GQA and MQA, and what they can be converted to.

Query heads come from q_proj and leave through o_proj; keys and values are those of n_kv_heads heads, each of which serves
n_heads / n_kv_heads neighbouring query heads (Ainslie et al. 2023, arXiv 2305.13245, section 2.2). A subclass says how keys
and values are made, and what of them is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from headlight.core.attention.base import Attention
from headlight.core.errors import ConfigError


@dataclass(frozen=True)
class KVHeads(Attention):
    """n_kv_heads: heads of keys and values; it must divide n_heads."""

    n_kv_heads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_kv_heads <= 0 or self.n_heads % self.n_kv_heads:
            raise ConfigError(f"n_heads ({self.n_heads}) must be a multiple of n_kv_heads ({self.n_kv_heads})")

    def _shapes(self, **projections: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        """Parameters of projections given as name -> (out, in): a weight each, and a bias where `bias` is set."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, out_in in projections.items():
            shapes |= {f"{name}.weight": out_in} | ({f"{name}.bias": out_in[:1]} if self.bias else {})
        return shapes

    def _split(self, t: Float[Tensor, "seq heads_times_dim"]) -> Float[Tensor, "heads seq head_dim"]:
        return t.unflatten(-1, (-1, self.head_dim)).transpose(0, 1)
