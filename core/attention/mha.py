"""Multi-head attention (Vaswani et al. 2017, arXiv 1706.03762, section 3.2.2): every query head has its own KV head."""

from __future__ import annotations

from dataclasses import dataclass, field

from headlight.core.attention.gqa import GQA


@dataclass(frozen=True)
class MHA(GQA):
    """n_kv_heads is n_heads; it cannot be chosen.

    >>> MHA(d_model=512, n_heads=8, head_dim=64).cached_elements_per_token()  # a key and a value for each of 8 heads
    1024
    """

    n_kv_heads: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_kv_heads", self.n_heads)
        super().__post_init__()
