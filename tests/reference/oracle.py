"""What the reference tests share: texts, the oracle's answer to one text, and how far apart two tensors are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from headlight.core.types import Run

TEXTS = (
    "The animal didn't cross the street, because it was too tired.",
    "In 1905 he wrote five papers; in 1906, 6. The 🦊 said 漢字 — naïve!\n\tdef f(x): return x**2",
    "word",
)

# The bar is 2e-6 for weights in float32. It holds layer by layer on the same inputs, for MiniLM, and for SmolLM2 on the
# first text. Through 30 layers rounding alone is more: transformers' own float32 weights are up to 9e-6 from its float64
# ones on such texts, ours up to 9e-6 from ours, and the two up to 4e-6 from each other; DEEP is for that.
FLOAT32_WEIGHTS, DEEP_WEIGHTS, FLOAT32_RELATIVE, FLOAT64 = 2e-6, 1e-5, 5e-6, 1e-10


@dataclass(frozen=True)
class Answer:
    """weights (n_layers, n_heads, q_len, kv_len); hidden (seq, d_model); logits (seq, vocab_size) or None."""

    weights: Tensor
    hidden: Tensor
    logits: Tensor | None


@torch.inference_mode()
def ask(oracle: PreTrainedModel, ids: tuple[int, ...]) -> Answer:
    """The oracle's numbers for one text; hidden is after the final norm, as in `Run`."""
    out = oracle(torch.tensor([ids]), output_attentions=True, output_hidden_states=True)
    logits = out.logits[0] if "logits" in out else None
    return Answer(torch.stack(out.attentions)[:, 0], out.hidden_states[-1][0], logits)


def weights_of(result: Run) -> Tensor:
    """All maps of a run (n_layers, n_heads, q_len, kv_len)."""
    return torch.stack([result.layers[layer].weights for layer in result.layers])


def apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference; shapes and precisions must agree."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    return float((ours - theirs).abs().max())


def apart_relative(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference as a share of the oracle's largest number."""
    return apart(ours, theirs) / float(theirs.abs().max())
