"""RoPE beyond the length it was trained on: linear, dynamic, llama3 and YaRN scaling of its frequencies.

f_j is the frequency of pair j (radians a position), s the factor, L0 the trained length, r the rotated dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.errors import ConfigError

Frequencies = Float[Tensor, " pairs"]


@dataclass(frozen=True)
class Scaling:
    """No scaling, and the base of all others.

    magnitude: factor on cos and sin; score_scale: factor on the softmax scale. YaRN's temperature is one or the other.
    """

    def frequencies(self, plain: Frequencies, theta: float, length: int) -> Frequencies:
        """The frequencies for a context of `length` tokens."""
        return plain

    @property
    def magnitude(self) -> float:
        """Factor on cos and sin."""
        return 1.0

    @property
    def score_scale(self) -> float:
        """Factor on the softmax scale."""
        return 1.0

    def check(self, dim: int, theta: float) -> None:
        """Raises ConfigError where it cannot scale RoPE of `dim` rotated dimensions and base theta."""
        for name in ("factor", "original"):
            value = getattr(self, name, 1)
            if not 0 < value < math.inf:
                raise ConfigError(f"{name} ({value}) must be positive")


UNSCALED = Scaling()


@dataclass(frozen=True)
class Linear(Scaling):
    """f / s: positions are squeezed (Chen et al. 2023, position interpolation, arXiv 2306.15595)."""

    factor: float

    def frequencies(self, plain: Frequencies, theta: float, length: int) -> Frequencies:
        """All frequencies divided by the factor."""
        return plain / self.factor


@dataclass(frozen=True)
class Dynamic(Scaling):
    """NTK-aware scaling of theta that grows with the text ("dynamic" in transformers): theta (s L/L0 - (s-1))^(r/(r-2))."""

    factor: float
    original: int

    def check(self, dim: int, theta: float) -> None:
        """Raises ConfigError for fewer than two pairs, besides what all scalings refuse."""
        super().check(dim, theta)
        if dim < 4:
            raise ConfigError(f"dim ({dim}) must be at least 4 for dynamic scaling, whose exponent is dim / (dim - 2)")

    def frequencies(self, plain: Frequencies, theta: float, length: int) -> Frequencies:
        """The frequencies of a larger theta once the text is longer than `original` tokens."""
        dim = 2 * len(plain)
        longer = max(length, self.original) / self.original
        base = theta * (self.factor * longer - (self.factor - 1)) ** (dim / (dim - 2))
        return base ** -(torch.arange(0, dim, 2, dtype=plain.dtype, device=plain.device) / dim)


@dataclass(frozen=True)
class Llama3(Scaling):
    """Llama 3.1: long wavelengths are divided by the factor, short ones kept, a ramp between (its model card's code)."""

    factor: float
    original: int
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0

    def frequencies(self, plain: Frequencies, theta: float, length: int) -> Frequencies:
        """f (m + (1 - m)/s) with m = clip((L0 / wavelength - low) / (high - low), 0, 1)."""
        turns = self.original * plain / (2 * math.pi)
        keep = ((turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)).clamp(0, 1)
        return plain * (keep + (1 - keep) / self.factor)


@dataclass(frozen=True)
class Yarn(Scaling):
    """YaRN (Peng et al. 2023, arXiv 2309.00071): fast pairs kept, slow ones divided by the factor, a ramp by turns between.

    Two conventions of its temperature, m(k) = 0.1 k ln s + 1: plain YaRN multiplies cos and sin by m(1); DeepSeek
    (mscale_all_dim set) multiplies cos and sin by m(mscale) / m(mscale_all_dim) and the softmax scale by
    m(mscale_all_dim)², because its cos and sin reach only a part of each query. attention_factor overrides the former.

    >>> deepseek_v2_lite = Yarn(40.0, 4096, mscale=0.707, mscale_all_dim=0.707)
    >>> round(deepseek_v2_lite.score_scale, 4), deepseek_v2_lite.magnitude
    (1.5896, 1.0)
    >>> plain = Yarn(40.0, 4096)
    >>> plain.score_scale, round(plain.magnitude, 4)
    (1.0, 1.3689)
    """

    factor: float
    original: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    mscale: float = 0.0
    mscale_all_dim: float = 0.0
    attention_factor: float | None = None

    def check(self, dim: int, theta: float) -> None:
        """Raises ConfigError for theta 1, with which all pairs turn alike, besides what all scalings refuse."""
        super().check(dim, theta)
        if theta == 1:
            raise ConfigError("theta (1) must not be 1 for YaRN, which tells pairs apart by how often they turn")

    def frequencies(self, plain: Frequencies, theta: float, length: int) -> Frequencies:
        """f (1 - ramp) + (f / s) ramp."""
        low, high = (self._pair(turns, 2 * len(plain), theta) for turns in (self.beta_fast, self.beta_slow))
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, 2 * len(plain) - 1)
        pairs = torch.arange(len(plain), dtype=plain.dtype, device=plain.device)
        # Where every pair is fast or every one slow the ends cross, and the ramp turns round, as in the authors' code.
        ramp = ((pairs - low) / ((high - low) or 0.001)).clamp(0, 1)
        return plain * (1 - ramp) + plain / self.factor * ramp

    @property
    def magnitude(self) -> float:
        """Factor on cos and sin."""
        if self.attention_factor is not None:
            return self.attention_factor
        if self.mscale and self.mscale_all_dim:
            return self._m(self.mscale) / self._m(self.mscale_all_dim)
        return self._m(1.0)

    @property
    def score_scale(self) -> float:
        """Factor on the softmax scale: DeepSeek's m(mscale_all_dim)², else 1."""
        return self._m(self.mscale_all_dim) ** 2 if self.mscale_all_dim else 1.0

    def _m(self, k: float) -> float:
        return 0.1 * k * math.log(self.factor) + 1.0 if self.factor > 1 else 1.0

    def _pair(self, turns: float, dim: int, theta: float) -> float:
        # The pair that turns `turns` times within the trained length.
        return dim * math.log(self.original / (turns * 2 * math.pi)) / (2 * math.log(theta))
