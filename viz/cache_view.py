"""What is on the KV-cache page, to and from a link; what each choice may be stands in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from viz.link import Rule, among, changed, read, several, whole

SECTIONS = {
    "models": "Models", "own": "Your model", "measured": "Measured", "claim": "93.3 %", "decode": "Decode cost",
}  # fmt: skip

# Models
PRECISIONS = ("fp32", "bf16", "fp8", "int4")

# Measured
SIZES = {"sibling": "A sibling's layer", "v2-lite": "A layer of DeepSeek-V2-Lite"}
MOST_CONTEXT = (1024, 2048, 4096, 8192)
REPEATS = (5, 10, 20)
ENCODINGS = ("rope", "sinusoidal", "none")

# 93.3 %
BITS = (4, 6, 8, 16)

# Decode cost
SHAPES = {"v3": "DeepSeek-V3", "v2": "DeepSeek-V2", "v2-lite": "DeepSeek-V2-Lite"}
CONTEXTS = tuple(2**n for n in range(10, 21))
BATCHES = tuple(2**n for n in range(11))


@dataclass(frozen=True)
class CacheChoices:
    """What a visitor has chosen, section by section (its name stands in front of its fields, but for `section` and `text`).

    Models: names, context (tokens), batch (sequences at once), precision (of the cache), weights (precision of those).
    Measured: text, whose tokens are read; model, whose tensors are listed; token, up to which; sizes, most (context),
    repeats: of the timing. 93.3 %: bits_before, bits_after: a number's in the caches of DeepSeek 67B and DeepSeek-V2.
    Decode cost: shape, card (of the hardware table), context, batch, kv_heads (of GQA), bits (a number of the cache),
    weights: whether the projections count, too.
    """

    text: str
    section: str = "models"

    models_names: tuple[str, ...] = ()
    models_context: int = 32_768
    models_batch: int = 1
    models_precision: str = "bf16"
    models_weights: str = "bf16"

    measured_model: str = "mla-rope"
    measured_token: int | None = None
    measured_sizes: str = "sibling"
    measured_most: int = 4096
    measured_repeats: int = 10

    claim_before: int = 16
    claim_after: int = 6

    decode_shape: str = "v3"
    decode_card: str = "h800"
    decode_context: int = 131_072
    decode_batch: int = 1
    decode_kv_heads: int = 8
    decode_bits: int = 16
    decode_weights: bool = False


_RULES: Mapping[str, Rule] = {
    "section": among(SECTIONS), "text": str,
    "models_names": several(str, 8), "models_context": whole(1, 10_000_000), "models_batch": whole(1, 4096),
    "models_precision": among(PRECISIONS), "models_weights": among(PRECISIONS),
    "measured_model": str, "measured_token": whole(1, 999_999_999), "measured_sizes": among(SIZES),
    "measured_most": among(MOST_CONTEXT), "measured_repeats": among(REPEATS),
    "claim_before": among(BITS), "claim_after": among(BITS),
    "decode_shape": among(SHAPES), "decode_card": str, "decode_context": among(CONTEXTS), "decode_batch": among(BATCHES),
    "decode_kv_heads": whole(1, 128), "decode_bits": among(BITS), "decode_weights": among((True, False)),
}  # fmt: skip
_NAMES = {name: name.partition("_")[2].replace("_", " ") for name in _RULES if "_" in name}


def to_link(choices: CacheChoices) -> dict[str, str]:
    """The parameters of the address bar; what is as at first is left out, but for section and text."""
    return changed(choices, CacheChoices(text="")) | {"section": choices.section, "text": choices.text}


def from_link(params: Mapping[str, str], fallback: CacheChoices) -> tuple[CacheChoices, list[str]]:
    """The choices that a link asks for, gaps filled from `fallback`, and a note for each value that is no such thing."""
    return read(params, _RULES, fallback, _NAMES)
