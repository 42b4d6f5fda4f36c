"""The KV cache as a value: named tensors and the number of tokens they remember."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class KVCache:
    """What one layer keeps of the tokens it has read, so that it need not read them again.

    tensors: name -> tensor; k and v (n_kv_heads, kv_len, head_dim) for multi-head, grouped-query and multi-query
    attention. The token axis is the second last.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Tokens remembered."""
        return next((t.shape[-2] for t in self.tensors.values()), 0)

    @property
    def nbytes(self) -> int:
        """Bytes held by the tensors."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    def extend(self, **new: Tensor) -> KVCache:
        """A cache that also remembers `new` tokens, given under the same names."""
        if not self.tensors:
            return KVCache(new)
        return KVCache({name: torch.cat([self.tensors[name], t], dim=-2) for name, t in new.items()})
