"""What it costs to see one layer's weights: ours, `transformers` eager with all of them, and a plain fused forward.

    python -m benchmarks.trace [--rounds 15] [--lengths 16 64 256 1024]

Same weights, same tokens, alternating in one run on the CPU in float32; medians, and ratios to our own plain forward.
Extra memory is how far one forward raises the resident size of a fresh process while it runs, sampled every millisecond.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import torch

from headlight import load_model, run
from headlight.core.checkpoints.packages import find_file
from headlight.core.checkpoints.pretrained import MINILM_PACKAGE, smollm2_folder
from headlight.core.model import Model
from headlight.core.types import Tokens

WAYS = ("plain fused", "one layer's weights", "transformers fused", "transformers eager, all weights")


def tokens(model: Model, length: int) -> Tokens:
    """`length` tokens of repeated prose."""
    read = model.tokenizer.encode("The animal didn't cross the street, because it was too tired. " * (length // 10 + 1))
    cut = [field[:length] for field in (read.ids, read.pieces, read.spans, read.special)]
    return Tokens(read.text, *cut)  # type: ignore[arg-type]


def theirs(name: str, attention: str) -> Any:
    """The same model in `transformers`."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoModel

    folder = find_file(MINILM_PACKAGE, "model/model.safetensors").parent if name == "minilm" else smollm2_folder()
    return AutoModel.from_pretrained(folder, attn_implementation=attention).eval()


def forward(name: str, way: str, length: int) -> Callable[[], Any]:
    """What is timed. No language-model head in any of them."""
    ours = load_model(name, "cpu")
    text, layer = tokens(ours, length), ours.n_layers // 2
    if way == "plain fused":
        return lambda: run(ours, text, layers=[])
    if way == "one layer's weights":
        return lambda: run(ours, text, layers=[layer]).layers[layer].weights
    eager = way.endswith("weights")
    other, ids = theirs(name, "eager" if eager else "sdpa"), torch.tensor([text.ids])

    @torch.inference_mode()
    def call() -> Any:
        return other(ids, output_attentions=eager)

    return call


def medians(name: str, length: int, rounds: int) -> list[float]:
    """Seconds a forward of each way, alternating."""
    calls = [forward(name, way, length) for way in WAYS]
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + 2):
        for call, mine in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            mine.append(time.perf_counter() - start)
    return [statistics.median(mine[2:]) for mine in times]


def peak(name: str, way: str, length: int) -> int:
    """Bytes by which one forward raised the highest resident size of a process of its own."""
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks.trace", "--peak", name, way, str(length)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(out.stdout)


def print_peak(name: str, way: str, length: int) -> None:
    """For `peak`: a short text first, so that only what the long one needs is counted."""
    forward(name, way, 4)()
    call = forward(name, way, length)
    process, done, seen = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def sample() -> None:
        while not done.wait(0.001):
            seen.append(process.memory_info().rss - before)

    sampler = threading.Thread(target=sample)
    sampler.start()
    kept = call()  # what it returns is held, as a caller would
    done.set()
    sampler.join()
    del kept
    print(max(seen))


def main() -> None:
    """Runs every model and length and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64, 256, 1024])
    parser.add_argument("--peak", nargs=3)
    options = parser.parse_args()
    if options.peak:
        print_peak(options.peak[0], options.peak[1], int(options.peak[2]))
        return
    for name in ("minilm", "smollm2"):
        for length in (n for n in options.lengths if name == "smollm2" or n <= 512):
            times = medians(name, length, options.rounds)
            print(f"\n{name}, {length} tokens")
            for way, value in zip(WAYS, times, strict=True):
                memory = f"{peak(name, way, length) / 1e6:10.0f} MB" if length >= 256 else ""
                print(f"  {way:34}{value * 1e3:9.1f} ms{value / times[0]:8.2f} x{memory}", flush=True)


if __name__ == "__main__":
    main()
