"""Every attention variant of the registry, with every encoding, on small random weights in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import pytest
import torch
from torch import Tensor

from headlight.core.attention import MLA, Attention, Decoupled
from headlight.core.attention.base import Params
from headlight.core.cache import KVCache
from headlight.core.positions import ALiBi, Learned, Position, RoPE, Sinusoidal
from headlight.core.positions.scaling import Yarn
from headlight.core.registry import ATTENTION
from headlight.core.types import Projections, Trace

# Distinct sizes, none a product or a neighbour of another, so that no two axes can be taken for each other. A variant
# takes those of its fields from here.
SIZES: Mapping[str, int] = {
    "d_model": 26, "n_heads": 6, "head_dim": 10, "n_kv_heads": 2,
    "kv_lora_rank": 11, "qk_nope_head_dim": 4, "qk_rope_head_dim": 6, "v_head_dim": 7, "q_lora_rank": 9,
}  # fmt: skip
LENGTH = 13


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in float64, the same ones each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Encoding name -> what makes it, given the width that RoPE may turn: a head's, or the rotary part of MLA's.
ENCODINGS: Mapping[str, Callable[[int], Position]] = {
    "none": lambda width: Position(),
    "learned": lambda width: Learned(random(17, SIZES["d_model"], seed=1)),
    "sinusoidal": lambda width: Sinusoidal(),
    "rope half": lambda width: RoPE(width, layout="half"),
    "rope interleaved": lambda width: RoPE(width, layout="interleaved"),
    "rope on part of a head": lambda width: RoPE(4, theta=100.0),
    "rope with plain yarn": lambda width: RoPE(width, theta=100.0, scaling=Yarn(4.0, 16)),
    "rope with deepseek's yarn": lambda width: RoPE(width, scaling=Yarn(40.0, 16, mscale=0.7, mscale_all_dim=0.9)),
    "alibi": lambda width: ALiBi(),
}


def rotary_width(attention: Attention) -> int:
    """How many dimensions of a query and key carry position."""
    return attention.qk_rope_head_dim if isinstance(attention, MLA) else attention.head_dim


def build(kind: type[Attention], **more: Any) -> Attention:
    """A variant with the sizes above."""
    own = {f.name: SIZES[f.name] for f in fields(kind) if f.init and f.name in SIZES}
    return kind(**own | more)


def weights_for(attention: Attention) -> dict[str, Tensor]:
    """Random parameters of the shapes that a variant asks for."""
    drawn = {name: random(*shape, seed=i) / 3 for i, (name, shape) in enumerate(attention.shapes().items(), start=2)}
    if isinstance(attention, Decoupled):
        drawn["rope_dims"] = random(attention.n_kv_heads, attention.head_dim).argsort(1)[
            :, : attention.qk_rope_head_dim
        ]
    return drawn


@dataclass(frozen=True)
class Case:
    """A variant, an encoding, parameters, and LENGTH tokens before they get their positions."""

    attention: Attention
    position: Position
    params: Params
    x: Tensor

    def project(self, start: int = 0, end: int = LENGTH, past: KVCache | None = None) -> Projections:
        """Queries, keys and values of tokens start to end, after what is remembered."""
        x = self.position.at_input(self.x[start:end], torch.arange(start, end))
        return self.attention.project(x, self.params, self.position, past or KVCache())

    def attend(self, start: int = 0, end: int = LENGTH, past: KVCache | None = None) -> Trace:
        """The layer over tokens start to end, after what is remembered."""
        x = self.position.at_input(self.x[start:end], torch.arange(start, end))
        return self.attention.attend(x, self.params, self.position, past)


def on_random(attention: Attention, position: Position | None = None) -> Case:
    """A variant with an encoding (none if not given) on random numbers."""
    return Case(attention, position or Position(), weights_for(attention), random(LENGTH, attention.d_model, seed=99))


def cases(*, causal: tuple[bool, ...] = (True, False)) -> Any:
    """Parametrises a test over all variants x all encodings x causal (with bias where not causal)."""
    every = itertools.product(ATTENTION.items(), ENCODINGS.items(), causal)

    def case(kind: type[Attention], encoding: Callable[[int], Position], c: bool) -> Case:
        attention = build(kind, causal=c, bias=not c)
        return on_random(attention, encoding(rotary_width(attention)))

    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case(kind, encoding, c), id=f"{name}, {label}, {'causal' if c else 'both ways'}")
            for (name, kind), (label, encoding), c in every
        ],
    )
