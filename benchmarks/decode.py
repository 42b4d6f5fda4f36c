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
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import DeepseekV2Config, DynamicCache
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Attention, DeepseekV2RotaryEmbedding

from headlight.core.cache import DecodingCache
from headlight.core.measured.clock import seconds
from headlight.core.measured.layers import SIZES, filled, random_params, stepper

LAYERS = SIZES["v2-lite"]
LATENT = LAYERS["absorbed"].attention
PEER = "MLA, transformers"


class Peer:
    """transformers' own MLA layer of the same sizes with a cache of `length` random tokens."""

    def __init__(self, length: int, dtype: torch.dtype, device: str) -> None:
        config = DeepseekV2Config(
            hidden_size=LATENT.d_model, num_attention_heads=LATENT.n_heads, num_key_value_heads=LATENT.n_heads,
            q_lora_rank=None,
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
        self._x = torch.randn(1, 1, LATENT.d_model, **make)
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
    generator = torch.Generator(options.device).manual_seed(0)
    for length in options.lengths:
        steps: dict[str, Callable[[], Tensor]] = {}
        caches: dict[str, DecodingCache | Peer] = {}
        weights: dict[str, int] = {}
        for layer in LAYERS.values():
            params = random_params(layer, torch.empty(0, **make), generator)
            cache = filled(layer, params, length, generator)
            caches[layer.title], steps[layer.title] = cache, stepper(layer, params, cache, generator)
            weights[layer.title] = sum(t.numel() * t.element_size() for t in params.values())
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
