"""What is on the KV-cache page, and what each choice may be."""

from __future__ import annotations

from dataclasses import dataclass

from headlight.core.errors import HeadlightError
from headlight.core.examples import examples
from headlight.core.memory.config.spelling import read_spelled, spell
from headlight.core.memory.fit import GPUS
from headlight.viz.ui.link import Choices, among, choice, several, whole
from headlight.viz.ui.state import PageState, carried_text

SECTIONS = {
    "models": "Models", "own": "Your model", "measured": "Measured", "claim": "93.3 %", "decode": "Decode cost",
}  # fmt: skip

# Models
NATIVE, NO_WEIGHTS = "native", "none"  # the precision a model is published in; weights not counted
PRECISIONS = (NATIVE, "fp32", "bf16", "fp8", "int8", "q8_0", "q5_1", "int4", "nvfp4", "mxfp4", "q4_0")
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


@dataclass(frozen=True)
class CacheChoices(Choices):
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

    text: str = choice()
    section: str = choice("models", among(SECTIONS), always=True)

    models_names: tuple[str, ...] = choice(MODELS, several(str, MOST_MODELS))
    models_context: int = choice(32_768, whole(1, 100_000_000))
    models_batch: int = choice(1, whole(1, 4096))
    models_precision: str = choice("bf16", among(PRECISIONS))
    models_weights: str = choice("fp8", among(WEIGHTS))
    models_card: int = choice(141, among(GPUS))
    models_cards: int = choice(8, among(CARDS))
    models_reserved: bool = choice(False, among((True, False)))
    models_sizes: tuple[str, ...] = choice((), several(_millions, 60), name="list of sizes")
    models_what: str | None = choice(None)
    models_kv_heads: int | None = choice(None, whole(1, 10_000))
    models_rank: int = choice(512, among(RANKS))

    own_way: str = choice("heads", among(WAYS))
    own_layers: int = choice(32, whole(1, 10_000))
    own_heads: int = choice(32, whole(1, 10_000))
    own_kv_heads: int = choice(8, whole(1, 10_000))
    own_head_dim: int = choice(128, whole(1, 1_000_000))
    own_v_head_dim: int = choice(0, whole(0, 1_000_000))
    own_window: int = choice(4096, whole(1, 100_000_000))
    own_windowed: int = choice(0, whole(0, 10_000))
    own_stateful: int = choice(0, whole(0, 10_000))
    own_latent: int = choice(512, whole(1, 1_000_000))
    own_nope: int = choice(128, whole(1, 1_000_000))
    own_rope: int = choice(64, whole(0, 1_000_000))
    own_value: int = choice(128, whole(1, 1_000_000))
    own_queries: int = choice(1536, whole(0, 1_000_000))
    own_millions: int = choice(0, whole(0, 999_999_999))
    own_shape: str = choice("", _shape)

    measured_model: str = choice("smollm2")
    measured_token: int | None = choice(None, whole(1, 999_999_999))
    measured_sizes: str = choice("sibling", among(SIZES), name="choice of sizes")
    measured_most: int = choice(4096, among(MOST_CONTEXT), name="longest context")
    measured_repeats: int = choice(10, among(REPEATS))

    claim_before: int = choice(16, among(BITS), name="bits of DeepSeek 67B")
    claim_after: int = choice(6, among(BITS), name="bits of DeepSeek-V2")

    decode_model: str = choice("deepseek-v3-671b")
    decode_card: str = choice("h800")
    decode_context: int = choice(131_072, among(CONTEXTS))
    decode_batch: int = choice(1, among(BATCHES))
    decode_kv_heads: int | None = choice(None, whole(1, 10_000))
    decode_precision: str = choice("bf16", among(CACHE_PRECISIONS))
    decode_weights: bool = choice(False, among((True, False)))


def _start() -> CacheChoices:
    """Where the page begins: the sentence of the page before."""
    return CacheChoices(text=carried_text(examples()[0].text))


state = PageState("cache", CacheChoices, _start)
