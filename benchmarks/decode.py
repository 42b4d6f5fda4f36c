"""What one decoding step costs one layer, and what it keeps: MHA, GQA, MQA, MLA re-expanded, absorbed, transformers' own.

    python -m benchmarks.decode [--rounds 15] [--lengths 1024 4096 16384] [--device cpu] [--dtype float32]

DeepSeek-V2-Lite's layer sizes (d_model 2048, 16 heads; latent 512, rotary 64, heads 128 + 64, values 128). All rows are
timed in one run, alternating; medians, and ratios to MLA absorbed. Random weights: the arithmetic does not care. The last
row is `transformers`' DeepseekV2Attention with sdpa and its DynamicCache, put back to the same length after each step. On
CUDA the share of the measured copy bandwidth is printed that reading the cache and the layer's weights reaches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import DeepseekV2Config, DynamicCache
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Attention, DeepseekV2RotaryEmbedding

from core.attention import GQA, MHA, MLA, MQA, Attention
from core.cache import DecodingCache
from core.positions import Position, RoPE

D_MODEL, N_HEADS, HEAD_DIM = 2048, 16, 128
LATENT = MLA(D_MODEL, N_HEADS, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128)
ROWS: dict[str, tuple[Attention, Position]] = {
    "MHA": (MHA(D_MODEL, N_HEADS, HEAD_DIM), RoPE(HEAD_DIM)),
    "GQA, 4 KV heads": (GQA(D_MODEL, N_HEADS, HEAD_DIM, n_kv_heads=4), RoPE(HEAD_DIM)),
    "MQA": (MQA(D_MODEL, N_HEADS, HEAD_DIM), RoPE(HEAD_DIM)),
    "MLA re-expanded": (LATENT, RoPE(64, layout="interleaved")),
    "MLA absorbed": (LATENT, RoPE(64, layout="interleaved")),
}

PEER = "MLA, transformers"


def filled(attention: Attention, position: Position, params: dict[str, Tensor], length: int) -> DecodingCache:
    """A cache that remembers `length` random tokens, written in pieces of 1,024."""
    cache = DecodingCache(capacity=length + 1)
    like = next(iter(params.values()))
    for _ in range(0, length, 1024):
        x = torch.randn(min(1024, length), D_MODEL, dtype=like.dtype, device=like.device)
        # One token is enough to know the shapes; the numbers are noise anyway.
        one = attention.project(x[:1], params, position, DecodingCache(1)).cache.tensors
        cache.extend(
            **{name: torch.randn_like(t.expand(*t.shape[:-2], len(x), t.shape[-1])) for name, t in one.items()}
        )
    return cache


def stepper(name: str, params: dict[str, Tensor], cache: DecodingCache) -> Callable[[], Tensor]:
    """One decoding step that leaves the cache as long as it found it."""
    attention, position = ROWS[name]
    like = next(iter(params.values()))
    x, length = torch.randn(1, D_MODEL, dtype=like.dtype, device=like.device), cache.length

    def step() -> Tensor:
        cache.length = length
        if name == "MLA re-expanded":
            return attention.fused(attention.project(x, params, position, cache), params)
        return attention.step(x, params, position, cache)

    return step


class Peer:
    """transformers' own MLA layer of the same sizes with a cache of `length` random tokens."""

    def __init__(self, length: int, dtype: torch.dtype, device: str) -> None:
        config = DeepseekV2Config(
            hidden_size=D_MODEL, num_attention_heads=N_HEADS, num_key_value_heads=N_HEADS, q_lora_rank=None,
            kv_lora_rank=LATENT.kv_lora_rank, qk_nope_head_dim=LATENT.qk_nope_head_dim,
            qk_rope_head_dim=LATENT.qk_rope_head_dim, v_head_dim=LATENT.v_head_dim, num_hidden_layers=1,
            attn_implementation="sdpa",
        )  # fmt: skip
        make = {"dtype": dtype, "device": device}
        self.layer = DeepseekV2Attention(config, 0).to(**make).eval()
        self.cache = DynamicCache(config=config)
        c_kv = torch.randn(1, 1, length, LATENT.kv_lora_rank, **make)
        k_rope = torch.randn(1, 1, length, LATENT.qk_rope_head_dim, **make)
        self.cache.update(c_kv, k_rope, 0)
        self._kept = self.cache.layers[0].keys, self.cache.layers[0].values
        self._x = torch.randn(1, 1, D_MODEL, **make)
        self._turns = DeepseekV2RotaryEmbedding(config).to(device)(self._x, torch.tensor([[length]], device=device))

    @property
    def nbytes(self) -> int:
        """Bytes that its cache holds."""
        return sum(t.numel() * t.element_size() for t in self._kept)

    def step(self) -> Tensor:
        """One decoding step; the cache is put back."""
        self.cache.layers[0].keys, self.cache.layers[0].values = self._kept
        return self.layer(self._x, position_embeddings=self._turns, attention_mask=None, past_key_values=self.cache)[0]


def copy_bandwidth(device: str) -> float:
    """Bytes a second that a large copy reads and writes."""
    source = torch.empty(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    times = [seconds(lambda: target.copy_(source)) for _ in range(12)]
    return 2 * source.numel() / statistics.median(times[2:])


def seconds(step: Callable[[], Tensor]) -> float:
    """Wall time of one step, the device's queue emptied."""
    start = time.perf_counter()
    out = step()
    if out.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.inference_mode()
def main() -> None:
    """Runs every length and prints its table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    make = {"dtype": getattr(torch, options.dtype), "device": options.device}
    bandwidth = copy_bandwidth(options.device) if options.device.startswith("cuda") else 0.0
    for length in options.lengths:
        steps: dict[str, Callable[[], Tensor]] = {}
        caches: dict[str, DecodingCache | Peer] = {}
        weights: dict[str, int] = {}
        for name, (attention, position) in ROWS.items():
            params = {key: torch.randn(*shape, **make) / 45 for key, shape in attention.shapes().items()}
            caches[name] = filled(attention, position, params, length)
            steps[name] = stepper(name, params, caches[name])
            weights[name] = sum(t.numel() * t.element_size() for t in params.values())
        peer = Peer(length, make["dtype"], options.device)
        steps[PEER], caches[PEER], weights[PEER] = peer.step, peer, weights["MLA absorbed"]
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(options.rounds + 2):
            for name, step in steps.items():
                times[name].append(seconds(step))
        medians = {name: statistics.median(values[2:]) for name, values in times.items()}
        print(f"\n{length:,} tokens, {options.device}, {options.dtype}, medians of {options.rounds} alternating rounds")
        shares = f"{'of copying':>12}" if bandwidth else ""
        print(f"{'':20}{'ms a step':>12}{'x absorbed':>12}{'bytes kept':>16}{shares}")
        for name, value in medians.items():
            ratio = value / medians["MLA absorbed"]
            line = f"{name:20}{value * 1e3:12.2f}{ratio:12.2f}{caches[name].nbytes:16,}"
            if options.device.startswith("cuda"):
                line += f"{(caches[name].nbytes + weights[name]) / value / bandwidth:12.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
