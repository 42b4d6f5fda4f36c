"""What long texts cost: pooled maps beside fused attention, readings by length in time and memory, the page in a browser.

    python -m benchmarks.long pool [--lengths 1024 2048 4096 8192] [--rounds 5]
    python -m benchmarks.long read [--lengths 1024 2048 4096 8192]
    python -m benchmarks.long page [--example carol] [--rounds 10]

pool: one layer of SmolLM2 (9 query heads on 3 KV heads of 64, float32), all heads, cells of length / 512 tokens, alternating
with torch's fused attention over the same queries, keys and values; medians, and how much of the processor's time each took.
read: SmolLM2 through `headlight.core.long.reading`, and the same text through a plain run, each in a process of its own:
seconds, the highest resident size above that before the text, and, once read, the seconds to change the layer and the head.
page: in a real browser, from a text already read: changes of head and zoom steps until the map is sharp; browser memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import psutil
import torch
from torch.nn import functional as F

from benchmarks.peers.__main__ import STAGE, blank, memory
from headlight import load_model, run
from headlight.core.attention import GQA
from headlight.core.cache import KVCache
from headlight.core.long.document import cut, long_texts
from headlight.core.long.pooling import Region, pool
from headlight.core.long.reading import read
from headlight.core.positions import Position
from headlight.core.types import Projections, positions
from tests.browser import chromium, server

LAYER = 18


def layer_of(length: int) -> tuple[GQA, Projections]:
    """Random queries and keys of the sizes of a SmolLM2 layer."""
    gqa = GQA(d_model=576, n_heads=9, head_dim=64, n_kv_heads=3)
    q, k, v = (torch.randn(n, length, 64) for n in (9, 3, 3))
    at = positions(0, length, q.device)
    return gqa, Projections(q, k, v, at, at, Position(), KVCache())


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    clock, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - cpu


@torch.inference_mode()
def pool_table(lengths: list[int], rounds: int) -> None:
    """Prints a row a length."""
    print(f"{torch.get_num_threads()} threads")
    print(
        "| tokens | fused forward | pooled maps, all heads | ratio | ratio of processor time | with strongest pairs, one head |"
    )
    print("|---|---|---|---|---|---|")
    for length in lengths:
        gqa, p = layer_of(length)
        region = Region((0, length), (0, length), max(1, length // 512))
        calls = {
            "fused": lambda p=p: F.scaled_dot_product_attention(
                p.q[None], p.k[None], p.v[None], is_causal=True, enable_gqa=True
            ),
            "pool": lambda gqa=gqa, p=p, region=region: pool(gqa, p, region),
            "one": lambda gqa=gqa, p=p, region=region: pool(gqa, p, region, [4], strongest=True),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
        for _ in range(rounds + 1):
            for name, call in calls.items():
                times[name].append(timed(call))
        clock, cpu = ({n: statistics.median(t[i] for t in rows[1:]) for n, rows in times.items()} for i in (0, 1))
        ratio = clock["pool"] / clock["fused"]
        print(
            f"| {length:,} | {clock['fused'] * 1e3:.0f} ms | {clock['pool'] * 1e3:.0f} ms | {ratio:.2f} | "
            f"{cpu['pool'] / cpu['fused']:.2f} | {clock['one'] * 1e3:.0f} ms |",
            flush=True,
        )


def read_once(way: str, length: int) -> None:
    """In a process of its own: reads, and prints what it took as JSON."""
    model = load_model("smollm2", "cpu")
    text = next(each.text for each in long_texts() if each.name == "carol")
    tokens = cut(model.tokenizer, text, length)[0]
    run(model, "warm up", layers=[])
    process, done, seen = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def sample() -> None:
        while not done.wait(0.005):
            seen.append(process.memory_info().rss - before)

    sampler = threading.Thread(target=sample)
    sampler.start()
    start = time.perf_counter()
    kept = read(model, tokens) if way == "read" else run(model, tokens, layers=[])
    seconds = time.perf_counter() - start
    held = process.memory_info().rss - before
    found = {"tokens": len(tokens), "seconds": seconds, "held": held}
    if way == "read":
        n = len(tokens)
        region = Region((0, n), (0, n), -(-n // 512))
        start = time.perf_counter()
        p = kept.projections(LAYER)
        pool(model.attention, p, region, [0], strongest=True)
        found["layer"] = time.perf_counter() - start
        start = time.perf_counter()
        pool(model.attention, p, region, [6], strongest=True)
        found |= {"head": time.perf_counter() - start, "disk": kept.activations.nbytes}
    done.set()
    sampler.join()
    print(json.dumps(found | {"peak": max(seen)}))


def read_table(lengths: list[int]) -> None:
    """Prints a row a length."""
    print(
        "| tokens | plain run | read in parts | another layer | another head | peak, plain | peak, in parts | kept | on disk |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for length in lengths:
        plain, ours = (json.loads(subprocess.run(
            [sys.executable, "-m", "benchmarks.long", "once", way, str(length)], capture_output=True, text=True, check=True
        ).stdout) for way in ("plain", "read"))  # fmt: skip
        print(
            f"| {ours['tokens']:,} | {plain['seconds']:.1f} s | {ours['seconds']:.1f} s | {ours['layer'] * 1e3:.0f} ms | "
            f"{ours['head'] * 1e3:.0f} ms | {plain['peak'] / 1e6:.0f} MB | {ours['peak'] / 1e6:.0f} MB | "
            f"{ours['held'] / 1e6:.0f} MB | {ours['disk'] / 1e6:.0f} MB |",
            flush=True,
        )


# Begins an action, and resolves to milliseconds once the stage says that its map is sharp and another one.
SHARP = """([begin, other]) => new Promise((resolve, reject) => {
  const stage = STAGE, start = performance.now();
  const sign = () => stage.dataset.picture + stage.dataset.view;
  const before = sign();
  setTimeout(() => reject(new Error("not sharp within 60 s")), 60000);
  new Function("stage", begin)(stage);
  const look = () => (sign() !== before && stage.dataset.sharp === "1" ? resolve(performance.now() - start)
                                                                    : requestAnimationFrame(look));
  requestAnimationFrame(look);
})""".replace("STAGE", STAGE)
WHEEL = """const box = stage.getBoundingClientRect();
  stage.dispatchEvent(new WheelEvent('wheel', { deltaY: %d, clientX: box.x + 86 + 0.35 * (box.width - 92),
    clientY: box.y + 0.5 * (box.width - 92), bubbles: true, cancelable: true }));"""


def page_table(example: str, rounds: int) -> None:
    """Opens the page, waits for the reading, and prints medians."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(900_000)
        empty = blank(browser, page)
        start = time.perf_counter()
        page.goto(f"{address}/long?{urlencode({'model': 'smollm2', 'example': example, 'layer': LAYER, 'head': 6})}")
        page.wait_for_function(f"() => {{ try {{ return {STAGE}.dataset.sharp == '1' }} catch {{ return false }} }}")
        print(
            f"{example}: {time.perf_counter() - start:.1f} s from the link to the overview, SmolLM2 and the page loaded anew"
        )
        page.wait_for_timeout(8000)
        times: dict[str, list[float]] = {"zoom in": [], "zoom out": []}
        for _ in range(rounds):
            for name, delta in (("zoom in", -120), ("zoom out", 120)):
                times[name].append(page.evaluate(SHARP, [WHEEL % delta, ""]))
                page.wait_for_timeout(300)
        grid = "document.querySelector('.st-key-long_heads [data-testid=stBidiComponentIsolated]').shadowRoot"
        times["another head"] = []
        for i in range(min(rounds, 8)):
            begin = f"{grid}.querySelector('[data-testid=head-{(i + 7) % 9}]').click()"
            times["another head"].append(page.evaluate(SHARP, [begin, ""]))
            page.wait_for_timeout(1500)
        for name, rows in times.items():
            told = ", ".join(f"{t:.0f}" for t in sorted(rows))
            print(f"{name}: median {statistics.median(rows):.0f} ms, of {len(rows)}: {told}")
        print(f"browser memory above an empty page's: {memory(browser) - empty:.0f} MB")


def main() -> None:
    """Runs one of the three."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["pool", "read", "page", "once"])
    parser.add_argument("way", nargs="*")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 2048, 4096, 8192])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--example", default="carol")
    options = parser.parse_args()
    if options.what == "once":
        read_once(options.way[0], int(options.way[1]))
    elif options.what == "pool":
        pool_table(options.lengths, options.rounds)
    elif options.what == "read":
        read_table(options.lengths)
    else:
        page_table(options.example, options.rounds)


if __name__ == "__main__":
    main()
