"""Rotary position embedding (Su et al. 2021, RoFormer, arXiv 2104.09864, section 3.2.2, eqs 14-16 and 34).

Each pair of dimensions of a query or key is rotated by an angle position x frequency; the dot product of two turned
vectors then depends on their distance alone. Two layouts say which dimensions form pair j of r / 2:

    half          (x_j, x_{j + r/2})     GPT-NeoX, transformers' Llama, Qwen, Mistral
    interleaved   (x_{2j}, x_{2j+1})     the paper, Meta's Llama code, GPT-J, DeepSeek; GGUF files of Llama models
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headlight.core.errors import ConfigError
from headlight.core.positions.base import Position
from headlight.core.positions.scaling import UNSCALED, Scaling

Layout = Literal["half", "interleaved"]


@dataclass(frozen=True)
class RoPE(Position):
    """dim: rotated dimensions a head (even); theta: base of the frequencies; layout: which dimensions form a pair.

    scaling: how frequencies change for texts longer than the trained ones.

    The dot product of a turned query and key depends on their distance alone (eq. 16):

    >>> rope, (q, k) = RoPE(dim=8), torch.randn(2, 1, 1, 8, dtype=torch.float64)
    >>> here = rope.at_qk(q, torch.tensor([7])) @ rope.at_qk(k, torch.tensor([3])).mT
    >>> there = rope.at_qk(q, torch.tensor([107])) @ rope.at_qk(k, torch.tensor([103])).mT
    >>> torch.allclose(here, there, atol=1e-12)
    True
    >>> rope.frequencies()
    tensor([1.0000, 0.1000, 0.0100, 0.0010])
    """

    dim: int
    theta: float = 10_000.0
    layout: Layout = "half"
    scaling: Scaling = UNSCALED

    def __post_init__(self) -> None:
        if self.dim <= 0 or self.dim % 2:
            raise ConfigError(f"dim ({self.dim}) must be even and positive: RoPE turns pairs of dimensions")
        if not 0 < self.theta < math.inf:
            raise ConfigError(f"theta ({self.theta}) must be positive: frequencies are its powers")
        self.scaling.check(self.dim, self.theta)
        if self.layout not in ("half", "interleaved"):
            raise ConfigError(f"layout ({self.layout!r}) must be 'half' or 'interleaved'")

    def frequencies(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, " pairs"]:
        """theta_j = theta^(-2j / dim) for j = 0 … dim/2 - 1, in radians a position."""
        exponents = torch.arange(0, self.dim, 2, dtype=dtype) / self.dim
        return self.theta**-exponents

    @property
    def score_scale(self) -> float:
        """Factor on the softmax scale, where the scaling has one (DeepSeek's YaRN)."""
        return self.scaling.score_scale

    def at_qk(
        self, t: Float[Tensor, "heads seq head_dim"], pos: Int[Tensor, " seq"]
    ) -> Float[Tensor, "heads seq head_dim"]:
        """t with its first `dim` dimensions turned by position x frequency; the others pass."""
        if t.shape[-1] < self.dim:
            raise ConfigError(f"RoPE turns {self.dim} dimensions, but queries and keys have {t.shape[-1]}")
        turned = rotate(t[..., : self.dim], self.angles(pos, t.dtype), self.layout) * self.scaling.magnitude
        return torch.cat([turned, t[..., self.dim :]], dim=-1) if t.shape[-1] > self.dim else turned

    def angles(self, pos: Int[Tensor, " seq"], dtype: torch.dtype) -> Float[Tensor, "seq pairs"]:
        """The angle of each pair at each position, in radians; in float32 at least, as half precision cannot count."""
        precise = torch.float64 if dtype == torch.float64 else torch.float32
        length = int(pos[-1]) + 1 if len(pos) else 0
        frequencies = self.scaling.frequencies(self.frequencies(precise), self.theta, length).to(pos.device)
        return pos[:, None].to(precise) * frequencies


def rotate(
    t: Float[Tensor, "heads seq rotary_dim"], angles: Float[Tensor, "seq pairs"], layout: Layout
) -> Float[Tensor, "heads seq rotary_dim"]:
    """Each pair (a, b) of t turned by its angle: (a cos - b sin, b cos + a sin); eq. 34 of the paper."""
    cos, sin = angles.cos().to(t.dtype), angles.sin().to(t.dtype)
    if layout == "interleaved":
        a, b = t[..., 0::2], t[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)
    a, b = t.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
