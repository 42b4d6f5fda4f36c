"""All siblings in one process: how long each takes to load, and what they hold together.

    python -m benchmarks.siblings [--rounds 5]

Resident memory is that of this process: torch and Headlight's core alone, then with every sibling loaded and run once.
"""

from __future__ import annotations

import argparse
import statistics
import time

import psutil

from headlight import load_model, run
from headlight.core.registry import SIBLINGS

TEXT = "The animal didn't cross the street, because it was too tired."


def resident() -> float:
    """Resident memory of this process in MB."""
    return psutil.Process().memory_info().rss / 1e6


def seconds(name: str) -> float:
    """The time of one load."""
    start = time.perf_counter()
    load_model(name, "cpu")
    return time.perf_counter() - start


def main() -> None:
    """Prints a line a sibling and the memory of all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    names = [name for name, row in SIBLINGS.items() if row.installed]
    before = resident()
    models = {name: load_model(name, "cpu") for name in names}
    for model in models.values():
        run(model, TEXT)
    print(f"{len(names)} siblings: {before:.0f} MB resident before, {resident():.0f} MB with all loaded and run once")
    times = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            times[name].append(seconds(name))
    for name, taken in times.items():
        print(f"{name:16}{statistics.median(taken) * 1e3:8.1f} ms to load")


if __name__ == "__main__":
    main()
