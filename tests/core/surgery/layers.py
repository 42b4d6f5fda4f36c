"""Small layers to convert, on random numbers in float64: MHA, GQA and MQA, with biases and without, with RoPE and without."""

from __future__ import annotations

import torch
from torch import Tensor

from headlight.core.attention import GQA
from headlight.core.positions import Position, RoPE
from headlight.core.surgery import TrainedLayer
from headlight.core.surgery.base import with_kv_heads

D_MODEL, N_HEADS, HEAD_DIM, LENGTH = 26, 6, 10, 13


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in float64, the same ones each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(n_kv_heads: int = N_HEADS, rope: str | None = None, bias: bool = False, causal: bool = True) -> TrainedLayer:
    """A layer with n_kv_heads; rope: a layout, None for no encoding; its inputs' second moment is far from even."""
    source = with_kv_heads(GQA(D_MODEL, N_HEADS, HEAD_DIM, causal, bias, n_kv_heads=2), n_kv_heads)
    params = {name: random(*shape, seed=i) / 3 for i, (name, shape) in enumerate(source.shapes().items(), start=2)}
    position = Position() if rope is None else RoPE(HEAD_DIM, theta=100.0, layout=rope)
    h = torch.nn.functional.pad(inputs(), (0, 1), value=1.0)
    return TrainedLayer(source, params, position, 3, h.T @ h / len(h))


def inputs() -> Tensor:
    """What the layer reads, (200, d_model): some directions ten times larger than others."""
    return random(200, D_MODEL, seed=77) * torch.logspace(0, -1, D_MODEL, dtype=torch.float64)


def out(it: TrainedLayer, converted=None) -> tuple[Tensor, Tensor]:
    """Weights and output of a layer, or of what it was converted to, over LENGTH of its inputs."""
    attention, params = (it.attention, it.params) if converted is None else (converted.attention, converted.params)
    trace = attention.attend(inputs()[:LENGTH], params, it.position)
    return trace.weights, trace.out
