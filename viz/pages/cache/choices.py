"""What is on the KV-cache page, to and from a link; what each choice may be stands in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headlight.core.errors import HeadlightError
from headlight.core.memory.config.spelling import read_spelled, spell
from headlight.core.memory.fit import GPUS
from headlight.viz.ui.link import Rule, among, changed, read, several, whole

SECTIONS = {
    "models": "Models", "own": "Your model", "measured": "Measured", "claim": "93.3 %", "decode": "Decode cost",
}  # fmt: skip

# Models
NATIVE, NO_WEIGHTS = "native", "none"  # the precision a model is published in; weights not counted
PRECISIONS = (NATIVE, "fp32", "bf16", "fp8", "q8_0", "int4", "q4_0")
WEIGHTS = (NO_WEIGHTS, "fp32", "bf16", "fp8", "int4")
MOST_MODELS = 8
MODELS = ("llama-3-1-405b", "qwen2-5-72b", "gemma-3-27b", "gpt-oss-120b", "deepseek-v3-671b")
CARDS = (1, 2, 4, 8, 16, 32)
RANKS = (64, 128, 256, 512, 1024, 2048)

# Your model
WAYS = {"heads": "Heads", "mla": "MLA", "config": "config.json"}

# Measured
SIZES = {"sibling": "A sibling's layer", "v2-lite": "A layer of DeepSeek-V2-Lite"}
MOST_CONTEXT = (1024, 2048, 4096, 8192)
REPEATS = (5, 10, 20)

# 93.3 %
BITS = (2, 3, 4, 6, 8, 16, 32)

# Decode cost
CONTEXTS = tuple(2**n for n in range(10, 21))
BATCHES = tuple(2**n for n in range(11))
CACHE_PRECISIONS = ("fp32", "bf16", "fp8", "q8_0", "int4")


@dataclass(frozen=True)
class CacheChoices:
    """What a visitor has chosen, section by section (its name stands in front of its fields, but for `section` and `text`).

    Models: names (slugs), context (tokens), batch (sequences at once), precision (of the cache), weights (precision of
    those), card (GB of memory), cards, reserved: bytes as an engine reserves them; sizes: "slug:millions" of parameters, as
    typed; what, kv_heads, rank: the model that is shown otherwise, and how. Your model (context to reserved are those of
    Models): way; layers, heads, kv_heads, head_dim, v_head_dim (0: as the key), window and windowed (layers that have it),
    stateful (layers that keep nothing), latent, nope, rope, value, queries (MLA's widths); millions of parameters;
    shape: what a config.json held, as `headlight.core.memory.config.spelling` spells it.
    Measured: text, whose tokens are read; model, whose tensors are listed; token, up to which; sizes, most (context),
    repeats: of the timing. 93.3 %: before, after: bits of a number in the caches of DeepSeek 67B and DeepSeek-V2.
    Decode cost: model (of the catalogue), card (of the hardware table), context, batch, kv_heads (of GQA), precision (of
    the cache), weights: whether the projections count, too.
    """

    text: str
    section: str = "models"

    models_names: tuple[str, ...] = MODELS
    models_context: int = 32_768
    models_batch: int = 1
    models_precision: str = "bf16"
    models_weights: str = "fp8"
    models_card: int = 141
    models_cards: int = 8
    models_reserved: bool = False
    models_sizes: tuple[str, ...] = ()
    models_what: str | None = None
    models_kv_heads: int | None = None
    models_rank: int = 512

    own_way: str = "heads"
    own_layers: int = 32
    own_heads: int = 32
    own_kv_heads: int = 8
    own_head_dim: int = 128
    own_v_head_dim: int = 0
    own_window: int = 4096
    own_windowed: int = 0
    own_stateful: int = 0
    own_latent: int = 512
    own_nope: int = 128
    own_rope: int = 64
    own_value: int = 128
    own_queries: int = 1536
    own_millions: int = 0
    own_shape: str = ""

    measured_model: str = "smollm2"
    measured_token: int | None = None
    measured_sizes: str = "sibling"
    measured_most: int = 4096
    measured_repeats: int = 10

    claim_before: int = 16
    claim_after: int = 6

    decode_model: str = "deepseek-v3-671b"
    decode_card: str = "h800"
    decode_context: int = 131_072
    decode_batch: int = 1
    decode_kv_heads: int | None = None
    decode_precision: str = "bf16"
    decode_weights: bool = False


def _millions(value: str) -> str | None:
    """ "slug:millions" of parameters, as somebody typed them for a model."""
    slug, _, digits = value.partition(":")
    return value if slug and whole(1, 999_999_999)(digits) else None


def _shape(value: str) -> str | None:
    """A spelled shape that can be read back."""
    try:
        return spell(read_spelled(value))
    except HeadlightError:
        return None


_RULES: Mapping[str, Rule] = {
    "section": among(SECTIONS), "text": str,
    "models_names": several(str, MOST_MODELS), "models_context": whole(1, 100_000_000), "models_batch": whole(1, 4096),
    "models_precision": among(PRECISIONS), "models_weights": among(WEIGHTS), "models_card": among(GPUS),
    "models_cards": among(CARDS), "models_reserved": among((True, False)), "models_sizes": several(_millions, 60),
    "models_what": str, "models_kv_heads": whole(1, 10_000), "models_rank": among(RANKS),
    "own_way": among(WAYS), "own_layers": whole(1, 10_000), "own_heads": whole(1, 10_000), "own_kv_heads": whole(1, 10_000),
    "own_head_dim": whole(1, 1_000_000), "own_v_head_dim": whole(0, 1_000_000), "own_window": whole(1, 100_000_000),
    "own_windowed": whole(0, 10_000), "own_stateful": whole(0, 10_000), "own_latent": whole(1, 1_000_000),
    "own_nope": whole(1, 1_000_000), "own_rope": whole(0, 1_000_000), "own_value": whole(1, 1_000_000),
    "own_queries": whole(0, 1_000_000),
    "own_millions": whole(0, 999_999_999), "own_shape": _shape,
    "measured_model": str, "measured_token": whole(1, 999_999_999), "measured_sizes": among(SIZES),
    "measured_most": among(MOST_CONTEXT), "measured_repeats": among(REPEATS),
    "claim_before": among(BITS), "claim_after": among(BITS),
    "decode_model": str, "decode_card": str, "decode_context": among(CONTEXTS), "decode_batch": among(BATCHES),
    "decode_kv_heads": whole(1, 10_000), "decode_precision": among(CACHE_PRECISIONS),
    "decode_weights": among((True, False)),
}  # fmt: skip
_NAMES = {name: name.partition("_")[2].replace("_", " ") for name in _RULES if "_" in name}


def to_link(choices: CacheChoices) -> dict[str, str]:
    """The parameters of the address bar; what is as at first is left out, but for section and text."""
    return changed(choices, CacheChoices(text="")) | {"section": choices.section, "text": choices.text}


def from_link(params: Mapping[str, str], fallback: CacheChoices) -> tuple[CacheChoices, list[str]]:
    """The choices that a link asks for, gaps filled from `fallback`, and a note for each value that is no such thing."""
    return read(params, _RULES, fallback, _NAMES)
