"""How long a slider takes on the pages KV cache and Positions: from a key press to the painted pictures, in a real browser.

    python -m benchmarks.sliders [--rounds 20]

Prints medians and 90th percentiles in milliseconds, and the bytes that one move sends to the browser.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from benchmarks.explore import Counter
from tests.browser import chromium, server

PLOT = "document.querySelector('.st-key-figure_{} .js-plotly-plot')"
# The link -> the slider's label, and what shows that a move is painted: each picture's first number.
MOVES = {
    "models, context": ("cache?section=models", "Context (tokens)", ("models_bars", "models_curves")),
    "models, sequences": ("cache?section=models", "Sequences at once", ("models_bars", "models_curves")),
    "eight models, context": (
        "cache?section=models&models_names=" + ".".join((
            "gemma-3-27b", "deepseek-v4-flash-284b", "gemma-4-26b-a4b", "deepseek-v3-2-671b", "qwen3-next-80b-a3b", "palm-540b",
            "mixtral-8x7b", "starcoder2-7b")),
        "Context (tokens)", ("models_bars", "models_curves"),
    ),
    "models, what if: KV heads": ("cache?section=models", "GQA with KV heads", ("otherwise",)),
    "your model, context": ("cache?section=own", "Context (tokens)", ("otherwise", "own_curves")),
    "your model, rank": ("cache?section=own", "MLA with rank", ("otherwise",)),
    "measured, token": ("cache?section=measured&measured_token=5", "After token", ("held", "reserved")),
    "93.3 %, bits": ("cache?section=claim", "Bits per value, DeepSeek-V2", ("claim",)),
    "decode cost, context": ("cache?section=decode", "Context (tokens)", ("cost_bars",)),
    "decode cost, batch with projections": (
        "cache?section=decode&decode_weights=1&decode_batch=8", "Sequences at once", ("roofline", "cost_bars"),
    ),
    "sinusoidal, positions": ("positions?section=sinusoidal", "Positions", ("table", "waves", "products")),
    "RoPE, query's position": ("positions?section=rope", "Query at position", ("dials", "score")),
    "longer texts, factor": ("positions?section=longer", "Factor", ("scaled",)),
    "learned, positions": ("positions?section=learned", "Positions", ("learned",)),
    "ALiBi, heads": ("positions?section=alibi", "Heads", ("bias",)),
    "MLA, shift": ("positions?section=mla", "All positions later by", ("moved_q", "moved_k")),
}  # fmt: skip


# From the key's arrival in the page until every picture has been drawn anew and the frame with them has been painted.
WATCH = """(pictures) => {
  // Plotly tells nobody when only a mark moved; its promise does.
  const react = Plotly.react;
  const waiting = new Map();
  const drawn = pictures.map((picture) => new Promise((done) => waiting.set(picture(), done)));
  Plotly.react = (gd, ...more) => react(gd, ...more).then((result) => (waiting.get(gd)?.(), result));
  const once = {once: true, capture: true};
  const pressed = new Promise((done) => addEventListener('keydown', () => done(performance.now()), once));
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => done(performance.now());
    channel.port2.postMessage(0);
  }));
  window.moved = Promise.all([pressed, ...drawn]).then(async ([start]) => {
    Plotly.react = react;
    return (await painted()) - start;
  });
}"""


def move(page: Page, label: str, pictures: tuple[str, ...], key: str) -> float:
    """Presses an arrow on a slider; milliseconds until the pictures are painted."""
    places = ", ".join(f"() => {PLOT.format(name)}" for name in pictures)
    page.get_by_role("slider", name=label).focus()
    page.evaluate(f"({WATCH})([{places}])")
    page.keyboard.press(key)
    return float(page.evaluate("window.moved"))


def moves(page: Page, label: str, pictures: tuple[str, ...], rounds: int) -> tuple[list[float], list[int]]:
    """Times and bytes of moves to and fro, after three to warm up."""
    counter, times, sent = Counter(page), [], []
    page.reload()
    for name in pictures:
        page.wait_for_selector(f".st-key-figure_{name} .main-svg", state="attached")
    page.wait_for_timeout(2500)
    for i in range(rounds + 3):
        before = counter.bytes
        times.append(move(page, label, pictures, ("ArrowRight", "ArrowLeft")[i % 2]))
        page.wait_for_timeout(600)  # the rest of the page settles, so that moves do not overlap
        sent.append(counter.bytes - before)
    return times[3:], sent[3:]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as url, chromium() as browser:
        for title, (link, label, pictures) in MOVES.items():
            page = browser.new_page(viewport={"width": 1280, "height": 2400})
            page.goto(f"{url}/{link}")
            times, sent = moves(page, label, pictures, rounds)
            worst = statistics.quantiles(times, n=10)[-1]
            print(
                f"| {title} | {statistics.median(times):.0f} ms | {worst:.0f} ms | {statistics.median(sent):,.0f} B |",
                flush=True,
            )
            page.close()


if __name__ == "__main__":
    main()
