"""What the converted model is held to: the original's next-token distributions, layer outputs, or attention outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from headlight.core.attention.base import Params
from headlight.core.model import Model
from training.distill import passes
from training.model import attend

_ROWS = 128  # rows of logits in memory at once


class _Divergence(torch.autograd.Function):
    """The mean over tokens of KL(p || q) in nats; p of the original's hidden states and q of ours, through one head E.

    The gradient of a row, (q - p) E / rows, is made on the way forward, so that logits are held for _ROWS rows alone.
    """

    @staticmethod
    def forward(ctx: Any, ours: Tensor, theirs: Tensor, head: Tensor) -> Tensor:
        """ours, theirs (rows, d_model); head (vocab_size, d_model)."""
        total, grads = ours.new_zeros(()), []
        for mine, other in zip(ours.split(_ROWS), theirs.split(_ROWS), strict=True):
            log_q, log_p = (F.log_softmax(F.linear(h, head), -1) for h in (mine, other))
            p = log_p.exp()
            total += (p * log_p.sub_(log_q)).sum()
            grads.append(log_q.exp_().sub_(p) @ head)
        ctx.save_for_backward(torch.cat(grads) / len(ours))
        return total / len(ours)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """The gradient for `ours` alone."""
        return ctx.saved_tensors[0] * grads[0], None, None


def divergence(
    ours: Float[Tensor, "rows d_model"], theirs: Float[Tensor, "rows d_model"], head: Float[Tensor, "vocab d_model"]
) -> Float[Tensor, ""]:
    """The mean over tokens of KL(original || ours) of what comes next, in nats."""
    loss: Tensor = _Divergence.apply(ours, theirs, head)
    return loss


def token_states(student: Model, params: Sequence[Params], teacher: Model, ids: Int[Tensor, "batch seq"]) -> Tensor:
    """For encoders: relative squared errors of all layers' token states, in the mean, and 1 - cosine of the texts' means."""
    with torch.no_grad():
        theirs = passes.layers(teacher, ids, teacher.layers)
    ours = passes.layers(student, ids, params)
    errors = [(a - b).square().sum() / b.square().sum() for a, b in zip(ours, theirs, strict=True)]
    apart = 1 - F.cosine_similarity(ours[-1].mean(1), theirs[-1].mean(1), dim=-1).mean()
    return torch.stack(errors).mean() + apart


def attention_outputs(
    student: Model, params: Sequence[Params], teacher: Model, ids: Int[Tensor, "batch seq"]
) -> Tensor:
    """Each layer by itself on what the original's layer reads: relative squared errors of its output, in the mean.

    A text's first token is left out: it sees itself alone, and its outputs are far larger than all others.
    """
    total = torch.zeros(())
    for (h, out), layer in zip(passes.attention_layers(teacher, ids), params, strict=True):
        error = (attend(h, layer, student.attention, student.position) - out)[:, 1:]
        total = total + error.square().sum() / out[:, 1:].square().sum() / len(params)
    return total
