"""What the variants of MiniLM and SmolLM2 cost: from a press of the Attention switch to the painted picture, warm; loading one
over its packaged model; memory of all of them on top.

    python -m benchmarks.variants [--rounds 20] [--no-browser]

Prints medians, 90th percentiles and the bar beside each. Bytes are those of the tensors that a variant does not share.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.explore import Counter, measure, open_page, switch
from headlight.core.analysis.variant_quality import is_shipped
from headlight.core.attention.variants import VARIANTS
from headlight.core.model import Model
from headlight.core.registry import MODELS, PACKAGED
from headlight.core.serving.engine import Engine, weight_bytes
from tests.browser import chromium, server

PICTURE = {"minilm": 300, "smollm2": 700}  # ms, the bars
LOAD, MEMORY = 400, 500  # ms a variant; MB of all
N_TOKENS = 32


def own_bytes(model: Model, base: Model) -> int:
    """Bytes of the tensors of a variant that are not its packaged model's."""
    shared = {id(t) for layer in base.layers for t in layer.values()}
    return sum(t.numel() * t.element_size() for layer in model.layers for t in layer.values() if id(t) not in shared)


def loads(rounds: int) -> None:
    """Loads every variant over its packaged model, again and again, and adds up what they take."""
    engine, total = Engine("cpu"), 0
    for name, row in MODELS.items():
        if row.base is None or row.over is None or not row.installed:
            continue
        base, times = engine.model(row.base), []
        for _ in range(rounds):
            begin = time.perf_counter()
            model = row.over(base)
            times.append(1000 * (time.perf_counter() - begin))
        assert isinstance(model, Model) and isinstance(base, Model)
        taken = own_bytes(model, base)
        total += taken
        whole = weight_bytes(model) / 1e6
        told(f"load {name}", times, LOAD, f"{taken / 1e6:8.1f} MB of its own, {whole:,.0f} MB with what it shares")
    print(f"memory of all on top: {total / 1e6:.1f} MB (bar {MEMORY} MB)", flush=True)


def told(name: str, times: list[float], bar: int, more: str = "") -> None:
    """One line: median and 90th percentile in milliseconds, and the bar."""
    p90 = statistics.quantiles(times, n=10)[-1]
    print(f"{name:44}{statistics.median(times):8.0f}{p90:8.0f}{bar:8}  {more}", flush=True)


def switches(rounds: int) -> None:
    """Presses between the packaged model and each of its shipped variants, in a browser."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as address, chromium() as browser:
        for name, row in MODELS.items():
            if not is_shipped(name):
                continue
            base = PACKAGED[str(row.base)]
            titles = VARIANTS[str(row.attention)].title, VARIANTS[str(base.attention)].title
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            counter = Counter(page)
            open_page(page, address, str(row.base), N_TOKENS)
            times, sent = measure(page, counter, rounds - rounds % 2, switch("attention", titles))
            told(
                f"switch {base.title}, {titles[1]} and {titles[0]}", times, PICTURE[str(row.base)],
                f"{statistics.median(sent):,.0f} B",
            )  # fmt: skip
            page.close()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--no-browser", action="store_true", help="only load times and memory")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {options.rounds} rounds")
    print(f"{'':44}{'median':>8}{'p90':>8}{'bar':>8}  (ms)")
    loads(options.rounds)
    if not options.no_browser:
        switches(options.rounds)


if __name__ == "__main__":
    main()
