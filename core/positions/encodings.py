"""The position encodings by name: one row an encoding, from which menus, siblings and the pages' sentences follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headlight.core.positions.alibi import ALiBi
from headlight.core.positions.base import Position
from headlight.core.positions.learned import Learned
from headlight.core.positions.rope import RoPE
from headlight.core.positions.sinusoidal import Sinusoidal


@dataclass(frozen=True)
class EncodingRow:
    """title: what people call it; kind: its class; about: one sentence on R_t, which in the steps' formulas is what an encoding
    does to queries and keys at position t; carrier: what tells the model where a word stands, "" for nothing; make: from the
    width that `at_qk` gets (`Attention.rotary_width`) to the siblings' encoding, None where no sibling is trained with it.
    """

    title: str
    kind: type[Position]
    about: str
    carrier: str = ""
    make: Callable[[int], Position] | None = None


ENCODINGS: Mapping[str, EncodingRow] = {
    "none": EncodingRow(
        "None", Position, "Here $R_t$ changes nothing: this model has no position encoding.", make=lambda width: Position()
    ),
    "learned": EncodingRow(
        "Learned", Learned,
        "Here $R_t$ changes nothing: learned positions were added to the tokens before the first layer.",
        "its learned position vectors",
    ),
    "sinusoidal": EncodingRow(
        "Sinusoidal", Sinusoidal, "Here $R_t$ changes nothing: positions were added to the tokens before the first layer.",
        "its sinusoidal position vectors", lambda width: Sinusoidal(),
    ),
    "rope": EncodingRow(
        "RoPE", RoPE, "$R_t$ rotates pairs of dimensions by angles that grow with the position t (RoPE).",
        "the rotation of its queries and keys (RoPE)", lambda width: RoPE(width),
    ),
    "alibi": EncodingRow(
        "ALiBi", ALiBi, "Here $R_t$ changes nothing: scores are lowered by distance (ALiBi).",
        "a penalty on its scores that grows with distance (ALiBi)",
    ),
}  # fmt: skip
