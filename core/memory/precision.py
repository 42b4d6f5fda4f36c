"""How many bits a cached number takes, scales of blocks counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from headlight.core.errors import lookup


@dataclass(frozen=True)
class Precision:
    """title: as people call it; bits: of a number; block: numbers that share scale_bits (scale, and zero point if any).

    >>> Precision("q8_0", 8, block=32, scale_bits=16).bits_per_element
    Fraction(17, 2)
    """

    title: str
    bits: int
    block: int = 1
    scale_bits: int = 0
    about: str = ""

    @property
    def bits_per_element(self) -> Fraction:
        """Bits per value, its share of the block's scale counted."""
        return self.bits + Fraction(self.scale_bits, self.block)

    @property
    def bytes_per_element(self) -> Fraction:
        """Bytes a number, its share of the block's scale counted."""
        return self.bits_per_element / 8


PRECISIONS: Mapping[str, Precision] = {
    "fp32": Precision("fp32", 32),
    "fp16": Precision("fp16", 16),
    "bf16": Precision("bf16", 16),
    "fp8": Precision("fp8", 8, about="one scale for a whole tensor, which adds nothing that counts"),
    "int8": Precision("int8", 8, about="one scale for a whole tensor, which adds nothing that counts"),
    "nvfp4": Precision("nvfp4", 4, 16, 8, "blocks of 16 with an fp8 scale, 4.5 bits per value"),
    "mxfp4": Precision("mxfp4", 4, 32, 8, "blocks of 32 with a scale of 8 bits, 4.25 bits per value (OCP MX)"),
    "q8_0": Precision("q8_0", 8, 32, 16, "llama.cpp: blocks of 32 with an fp16 scale, 8.5 bits per value"),
    "q5_1": Precision("q5_1", 5, 32, 32, "llama.cpp: blocks of 32 with an fp16 scale and minimum, 6 bits per value"),
    "q5_0": Precision("q5_0", 5, 32, 16, "llama.cpp: blocks of 32 with an fp16 scale, 5.5 bits per value"),
    "int4": Precision("int4", 4, 64, 32, "groups of 64 with an fp16 scale and zero point, 4.5 bits per value"),
    "q4_0": Precision("q4_0", 4, 32, 16, "llama.cpp: blocks of 32 with an fp16 scale, 4.5 bits per value"),
    "q4_1": Precision("q4_1", 4, 32, 32, "llama.cpp: blocks of 32 with an fp16 scale and minimum, 5 bits per value"),
}

# What config files call them.
DTYPES: Mapping[str, str] = {
    "float32": "fp32", "float": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16",
    "float8_e4m3fn": "fp8", "float8_e5m2": "fp8",
}  # fmt: skip


def precision(name: str) -> Precision:
    """The precision called `name`; raises UnknownNameError with the names there are."""
    found: Precision = lookup(PRECISIONS, name, "precision")
    return found
