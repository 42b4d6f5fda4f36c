"""How long a thing takes on this machine now: alternating rounds, so that all are measured under the same load."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import quantiles

import torch
from torch import Tensor

from headlight.core.errors import ConfigError

WARM = 2  # rounds that are not counted: the first ones allocate


@dataclass(frozen=True)
class Times:
    """Seconds of each counted round, in order.

    >>> Times((0.004, 0.001, 0.002, 0.003, 0.005)).median
    0.003
    >>> Times((0.004, 0.001, 0.002, 0.003, 0.005)).middle_half
    (0.002, 0.004)
    """

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Half of the rounds took less."""
        return self._quarters()[1]

    @property
    def middle_half(self) -> tuple[float, float]:
        """The first and third quartile: half of the rounds lie between."""
        first, _, third = self._quarters()
        return first, third

    def _quarters(self) -> list[float]:
        return quantiles(self.seconds, n=4, method="inclusive") if len(self.seconds) > 1 else [*self.seconds] * 3


@torch.inference_mode()
def alternate(
    steps: Mapping[str, Callable[[], Tensor]],
    rounds: int = 15,
    budget: float = 1.5,
    alone: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> dict[str, Times]:
    """Wall time of each step, one after the other in each round; the device's queue is emptied before the clock stops.

    rounds: counted ones at most; after `budget` seconds no further round begins, but one is always counted. alone(): entered
    for a round, so that nothing else runs meanwhile and others wait no longer than that. Raises ConfigError for no rounds.
    """
    if rounds < 1:
        raise ConfigError(f"rounds ({rounds}) must be 1 or more")
    found: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + budget
    for number in range(WARM + rounds):
        if number > WARM and time.perf_counter() > end:
            break
        with alone():
            taken = {name: seconds(step) for name, step in steps.items()}
        if number >= WARM:
            for name, value in taken.items():
                found[name].append(value)
    return {name: Times(tuple(values)) for name, values in found.items()}


def seconds(step: Callable[[], Tensor]) -> float:
    """Wall time of one step, the device's queue emptied."""
    start = time.perf_counter()
    out = step()
    if out.is_cuda:
        torch.cuda.synchronize()
    elif out.device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - start
