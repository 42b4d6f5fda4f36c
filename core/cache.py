"""The KV cache: named tensors and the number of tokens they remember, as a value to look at and as buffers to decode with.

Names: k, v (n_kv_heads, kv_len, head_dim) for multi-head, grouped-query and multi-query attention; c_kv
(kv_len, kv_lora_rank) and k_rope (kv_len, qk_rope_head_dim) for multi-head latent attention. The token axis is the
second last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from headlight.core.errors import ConfigError


@dataclass(frozen=True)
class KVCache:
    """What one layer keeps of the tokens it has read, as a value that nothing changes.

    >>> one = KVCache().extend(k=torch.zeros(2, 1, 4), v=torch.zeros(2, 1, 4))
    >>> two = one.extend(k=torch.zeros(2, 1, 4), v=torch.zeros(2, 1, 4))
    >>> one.length, two.length, two.nbytes
    (1, 2, 128)
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Tokens remembered."""
        return next((t.shape[-2] for t in self.tensors.values()), 0)

    @property
    def nbytes(self) -> int:
        """Bytes of what is remembered."""
        return _nbytes(self.tensors)

    def extend(self, **new: Tensor) -> KVCache:
        """A cache that also remembers `new` tokens, given under the same names."""
        if not self.tensors:
            return KVCache(new)
        return KVCache({name: torch.cat([self.tensors[name], t], dim=-2) for name, t in new.items()})


class DecodingCache:
    """The same for decoding: buffers that are written in place and double when they are full.

    capacity: tokens to have room for at first; raises ConfigError if it is not positive.
    Appending by concatenation copies everything that is remembered at each token; this copies it at each doubling.
    """

    def __init__(self, capacity: int = 64) -> None:
        if capacity <= 0:
            raise ConfigError(f"capacity ({capacity}) must be positive")
        self._capacity = capacity
        self._buffers: dict[str, Tensor] = {}
        self.length = 0

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """What is remembered, as views of the buffers."""
        return {name: buffer[..., : self.length, :] for name, buffer in self._buffers.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of what is remembered."""
        return _nbytes(self.tensors)

    @property
    def reserved_nbytes(self) -> int:
        """Bytes of the buffers, room for tokens to come included."""
        return _nbytes(self._buffers)

    def extend(self, **new: Tensor) -> DecodingCache:
        """Writes `new` tokens behind those remembered, and returns this same cache."""
        length = self.length + next(iter(new.values())).shape[-2]
        while self._capacity < length:
            self._capacity *= 2
        for name, t in new.items():
            self._room_for(name, t)[..., self.length : length, :] = t
        self.length = length
        return self

    def _room_for(self, name: str, t: Tensor) -> Tensor:
        old = self._buffers.get(name)
        if old is None or old.shape[-2] < self._capacity:
            self._buffers[name] = t.new_empty(*t.shape[:-2], self._capacity, t.shape[-1])
            if old is not None:
                self._buffers[name][..., : self.length, :] = old[..., : self.length, :]
        return self._buffers[name]


Cache = KVCache | DecodingCache


def _nbytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors.values())
