"""Where the published "93.3% less KV cache" of DeepSeek-V2 comes from: two models, two precisions, three factors.

DeepSeek-V2 (arXiv 2405.04434), abstract and Figure 1b: against DeepSeek 67B the KV cache is 93.3% smaller. For deployment,
the paper says, its cache is quantised to 6 bits on average. Element for element it is 82.2% smaller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from headlight.core.memory.precision import Precision
from headlight.core.memory.shape import CacheShape, MLADims, of_heads, of_mla
from headlight.core.memory.sizes import bytes_per_token, elements_per_token

PUBLISHED = 0.933
# Sizes as in the DeepSeek LLM report (arXiv 2401.02954); 8 KV heads is inferred, see WHY.
BEFORE = of_heads(95, n_heads=64, n_kv_heads=8, head_dim=128, name="DeepSeek 67B")
AFTER = of_mla(60, 128, MLADims(512, 128, 64, 128, q_lora_rank=1536), name="DeepSeek-V2")

WHY = (
    "DeepSeek 67B's configuration was not at hand: 95 layers, 64 heads and 8 KV heads are a second-hand transcription of its "
    "report (arXiv 2401.02954), and one other table says 64 KV heads. Only 8 fit what DeepSeek-V2's paper draws and says: less "
    "than 400 KB a token in Figure 1b, and 93.3%."
)


@dataclass(frozen=True)
class Step:
    """One step on the way from one cache to the other. title; bytes: kept per token after it; by: the factor it brought."""

    title: str
    bytes: float
    by: float


def bits(number: int) -> Precision:
    """A precision of so many bits per value, scales left out as the paper leaves them out."""
    return Precision(f"{number} bits", number)


def steps(
    before_bits: int = 16, after_bits: int = 6, before: CacheShape = BEFORE, after: CacheShape = AFTER
) -> list[Step]:
    """From the one model's cache to the other's: fewer layers, a latent in place of keys and values, fewer bits per value.

    >>> [(step.title, step.bytes) for step in steps()]
    [('DeepSeek 67B', 389120.0), ('60 layers, not 95', 245760.0), ('MLA, not GQA', 69120.0), ('6 bits, not 16', 25920.0)]
    """
    layers = (replace(before.groups[0], count=after.n_layers),)
    fewer = replace(before, n_layers=after.n_layers, groups=layers)
    sizes = [
        (before.name, bytes_per_token(before, bits(before_bits))),
        (f"{after.n_layers} layers, not {before.n_layers}", bytes_per_token(fewer, bits(before_bits))),
        ("MLA, not GQA", bytes_per_token(after, bits(before_bits))),
        (f"{after_bits} bits, not {before_bits}", bytes_per_token(after, bits(after_bits))),
    ]
    first = [Step(*sizes[0], 1.0)]
    return first + [
        Step(title, size, size / last) for (title, size), (_, last) in zip(sizes[1:], sizes[:-1], strict=True)
    ]


def less(before: float | Fraction, after: float | Fraction) -> float:
    """How much less `after` is than `before`, 0-1.

    >>> round(less(elements_per_token(BEFORE), elements_per_token(AFTER)), 3)
    0.822
    """
    return float(1 - after / before)


def fewer_numbers() -> float:
    """How many fewer values per token DeepSeek-V2 keeps than DeepSeek 67B, 0-1, whatever their precision."""
    return less(elements_per_token(BEFORE), elements_per_token(AFTER))
