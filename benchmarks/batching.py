"""What reading several texts of one length together gains, and what a model costs a process that does not compute with it.

    python -m benchmarks.batching [--rounds 15] [--batch 8] [--lengths 16 64 128]

The same texts one after the other and together, alternating in one run on the CPU in float32, all layers kept; medians.
Memory: how far a fresh process's resident size grows by loading a model, and by one layer's derivation from a run that
came over the wire.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from itertools import pairwise

import psutil
import torch

from benchmarks.trace import tokens
from headlight import load_model, run
from headlight.core.measured.clock import alternate
from headlight.core.model import Model
from headlight.core.serving.compute.batch import run_batch
from headlight.core.serving.compute.wire import pack_run, unpack_run

MODELS = ("minilm", "smollm2", "mla-rope")


def gains(name: str, length: int, batch: int, rounds: int) -> str:
    """One row: milliseconds a text alone and in a batch, and the bytes that go over the wire."""
    model = load_model(name, "cpu")
    assert isinstance(model, Model)
    text, layers = tokens(model, length), list(range(model.n_layers))
    times = alternate(
        {
            "alone": lambda: torch.stack([run(model, text).hidden for _ in range(batch)]),
            "together": lambda: run_batch(model, [text] * batch, layers)[0].hidden,
        },
        rounds, budget=20.0,
    )  # fmt: skip
    alone, together = (times[way].median / batch * 1000 for way in ("alone", "together"))
    sent = len(pack_run(run(model, text)))
    return f"| {name}, {length} tokens | {alone:.1f} ms | {together:.1f} ms | {alone / together:.2f} | {sent:,} B |"


def memory(name: str) -> None:
    """Resident megabytes that loading and one derivation add; run in a process of its own."""
    own = psutil.Process()
    warm = load_model("mha-none", "cpu")
    run(warm, "warm up the allocator")
    sizes = [own.memory_info().rss]
    model = load_model(name, "cpu")
    assert isinstance(model, Model)
    sizes.append(own.memory_info().rss)
    body = subprocess.run(
        [sys.executable, "-m", "benchmarks.batching", "--answer", name], capture_output=True, check=True
    ).stdout
    text = model.tokens("The animal was tired")
    unpack_run(body, model, text).layers[2].weights.sum()
    sizes.append(own.memory_info().rss)
    run(model, text)
    sizes.append(own.memory_info().rss)
    loaded, derived, ran = ((b - a) / 1e6 for a, b in pairwise(sizes))
    print(f"| {name} | {loaded:.0f} MB | {derived:.0f} MB | {ran:.0f} MB |")


def main() -> None:
    """Prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--answer")
    parser.add_argument("--memory")
    asked = parser.parse_args()
    if asked.answer:
        model = load_model(asked.answer, "cpu")
        sys.stdout.buffer.write(pack_run(run(model, "The animal was tired")))
        return
    if asked.memory:
        memory(asked.memory)
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batches of {asked.batch}")
    for name in MODELS:
        for length in asked.lengths:
            print(gains(name, length, asked.batch, asked.rounds), flush=True)
    for name in MODELS:
        subprocess.run([sys.executable, "-m", "benchmarks.batching", "--memory", name], check=True)


if __name__ == "__main__":
    main()
