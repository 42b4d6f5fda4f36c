"""The output layer's loss in chunks of rows, its gradients computed during the forward pass.

A whole batch of logits is by far the largest tensor of a small model (2,048 rows of 4,096 at the preset `small`: 32 MiB, read
and written several times by softmax, loss and backward pass); here one chunk's memory is used over and over. As the loss is a
mean, its gradient by the logits, (softmax - one-hot) / rows, is known as soon as a chunk's logits are, so none of them has to
be kept (as in the fused cross-entropy kernels of arXiv 2410.10989 and 2411.09009).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = {"cpu": 512}  # rows in one chunk by device type
_CHUNK_ELSEWHERE = 4096


def cross_entropy(
    hidden: Float[Tensor, "rows d_model"],
    embedding: Float[Tensor, "vocab_size d_model"],
    targets: Int[Tensor, " rows"],
    chunk: int | None = None,
) -> Float[Tensor, ""]:
    """Mean cross-entropy, in nats a row, of the logits `hidden @ embedding.T`; can be differentiated once.

    The softmax is taken in float32 at least; the result is of that precision.
    """
    rows = chunk or CHUNK.get(hidden.device.type, _CHUNK_ELSEWHERE)
    loss: Tensor = _ChunkedCrossEntropy.apply(hidden, embedding, targets, rows)
    return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, embedding: Tensor, targets: Tensor, chunk: int) -> Tensor:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        total = torch.zeros((), dtype=wide, device=hidden.device)
        hidden_grad = torch.empty_like(hidden)
        # Sums over chunks are kept in float32: in bfloat16 the later chunks would be rounded away.
        embedding_grad = torch.zeros_like(embedding, dtype=wide)
        pieces = (hidden.split(chunk), targets.split(chunk), hidden_grad.split(chunk))
        for x, wanted, x_grad in zip(*pieces, strict=True):
            losses, logits_grad = _losses_and_gradient((x @ embedding.T).to(wide), wanted[:, None])
            total += losses.sum()
            narrow = logits_grad.div_(len(hidden)).to(hidden.dtype)
            torch.mm(narrow, embedding, out=x_grad)
            _add_product(embedding_grad, narrow.T, x)
        ctx.save_for_backward(hidden_grad, embedding_grad.to(embedding.dtype))
        return total / len(hidden)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden_grad, embedding_grad = ctx.saved_tensors
        scale = grads[0].to(hidden_grad.dtype)
        return hidden_grad * scale, embedding_grad * scale, None, None


def _losses_and_gradient(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of every row, and softmax minus one-hot, which is written over the logits."""
    picked = logits.gather(1, wanted)
    largest = logits.amax(1, keepdim=True)
    logits.sub_(largest).exp_()
    sums = logits.sum(1, keepdim=True)
    losses = sums.log() + largest - picked
    logits.div_(sums)
    return losses, logits.scatter_add_(1, wanted, torch.full_like(picked, -1.0))


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
