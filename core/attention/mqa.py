"""Multi-query attention (Shazeer 2019, arXiv 1911.02150, section 3): all query heads share one KV head."""

from __future__ import annotations

from dataclasses import dataclass, field

from headlight.core.attention.gqa import GQA


@dataclass(frozen=True)
class MQA(GQA):
    """n_kv_heads is 1; it cannot be chosen.

    >>> MQA(d_model=512, n_heads=8, head_dim=64).cached_elements_per_token()  # an eighth of MHA's
    128
    """

    n_kv_heads: int = field(init=False, default=1)
