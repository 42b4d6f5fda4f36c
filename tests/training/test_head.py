"""The loss in chunks is plain cross-entropy, in value and in gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from training import head

ROWS, D_MODEL, VOCAB = 37, 11, 53


def sample(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    hidden, embedding = (3 * torch.randn(n, D_MODEL, generator=random, dtype=torch.float64) for n in (ROWS, VOCAB))
    targets = torch.randint(0, VOCAB, (ROWS,), generator=random)
    return hidden.to(dtype).requires_grad_(), embedding.to(dtype).requires_grad_(), targets


def with_gradients(loss, hidden, embedding) -> list[torch.Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss * 0.7, (hidden, embedding))]


@pytest.mark.parametrize("chunk", [1, 8, 36, 37, 100, None])
@pytest.mark.parametrize(("dtype", "relative"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_the_chunked_loss_and_its_gradients_are_those_of_cross_entropy(chunk, dtype, relative):
    hidden, embedding, targets = sample(dtype)
    plain = with_gradients(F.cross_entropy(hidden @ embedding.T, targets), hidden, embedding)
    chunked = with_gradients(head.cross_entropy(hidden, embedding, targets, chunk), hidden, embedding)
    for ours, theirs in zip(chunked, plain, strict=True):
        # Relative to the whole tensor's size: single entries of a gradient may be differences of much larger numbers.
        assert float((ours - theirs).norm() / theirs.norm()) < relative


def test_in_bfloat16_the_loss_is_float32_and_sums_over_chunks_lose_nothing():
    hidden, embedding, targets = sample(torch.bfloat16)
    loss, *gradients = with_gradients(head.cross_entropy(hidden, embedding, targets, 2), hidden, embedding)
    exact = with_gradients(F.cross_entropy(hidden.double() @ embedding.double().T, targets), hidden, embedding)
    assert loss.dtype == torch.float32 and {t.dtype for t in gradients} == {torch.bfloat16}
    # Logits keep 8 bits: at sizes around 30 they are wrong by up to 0.06, and the loss is a mean of such errors.
    torch.testing.assert_close(loss.double(), exact[0].double(), rtol=0, atol=0.06)
    assert all(float((a - b).norm() / b.norm()) < 0.05 for a, b in zip(gradients, exact[1:], strict=True))


def test_very_large_logits_do_not_overflow():
    hidden, embedding, targets = sample(torch.float32)
    loss = head.cross_entropy(hidden * 1e3, embedding, targets, 8)
    assert torch.isfinite(loss) and torch.isfinite(torch.autograd.grad(loss, hidden)[0]).all()
