"""A sliding window as a learner would write it: a subclass that overrides only what is allowed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from headlight.core.attention import Attention


def windowed(attention: Attention, width: int) -> Attention:
    """The same layer, but a token sees `width` tokens, itself included: those at distance 0 … width - 1."""
    kind: Any = type(attention)

    @dataclass(frozen=True)
    class Windowed(kind):
        def allowed(self, q_pos: Tensor, k_pos: Tensor) -> Tensor:
            return super().allowed(q_pos, k_pos) & (q_pos[:, None] - k_pos[None, :] < width)

    return Windowed(**{f.name: getattr(attention, f.name) for f in fields(attention) if f.init})
