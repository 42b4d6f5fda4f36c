"""Headlight's Long texts page beside BertViz, CircuitsVis and Inspectus: same weights, same texts, one layer, one run.

    python -m venv .venv-bench && .venv-bench/bin/pip install --no-deps -r requirements-bench.txt
    python -m benchmarks.peers [--lengths 16 64 256 512 1024] [--rounds 3] [--python .venv-bench/bin/python] [--cdn FOLDER]

For each length and tool, taken in turns: seconds to produce the page (from the text: forward pass and HTML), bytes that the
browser gets, seconds from there until it is painted, memory of the browser's processes (proportional set size, above an empty
page), and from a movement of the mouse to the next painted frame. MiniLM's layer 3 up to its 512 tokens, SmolLM2's layer 18
beyond. Ours: the app is open, the text is pasted, the clock runs from the click's arrival in the page to the sharp map
painted; "first visit" is what a browser loads once. A tool that has not painted within --patience seconds is given up.

BertViz loads require.js, d3 and jQuery from a CDN; --cdn names a folder with node_modules (npm i d3@5.7.0 jquery@2
requirejs@2.3.6), from which they are served here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import psutil
from playwright.sync_api import Browser, Error, Page, Route

from benchmarks.explore import PAINTED, Counter
from headlight import load_model
from headlight.core.long.document import cut, long_texts
from tests.browser import ROOT, chromium, server

PEERS = ("BertViz", "CircuitsVis", "Inspectus")
# What is there when a tool's picture is: BertViz' lines, CircuitsVis' large head, Inspectus' cells.
DRAWN = {
    "BertViz": "document.querySelectorAll('#vis svg line, #vis svg path').length > 0",
    "CircuitsVis": "[...document.querySelectorAll('canvas')].some(c => c.width > 1)",
    "Inspectus": "document.querySelectorAll('canvas, svg rect').length > 0",
}
CDN = {
    "require.min.js": "requirejs/require.js",
    "d3.min.js": "d3/dist/d3.min.js",
    "jquery.min.js": "jquery/dist/jquery.min.js",
}
# The field is left first, which is when a typed text counts.
READ_IT = """const button = [...document.querySelectorAll('button')].filter(each => each.innerText.trim() === 'Read it').at(-1);
  button.focus();
  button.click();"""
STAGE = "document.querySelector('.st-key-long_map [data-testid=stBidiComponentIsolated]').shadowRoot.querySelector('.stage')"


@dataclass(frozen=True)
class Measured:
    """Seconds to produce and to paint, bytes to the browser, browser memory (MB), milliseconds to answer a hover."""

    produce: float
    paint: float
    nbytes: int
    memory: float
    hover: float


def settings(length: int) -> tuple[str, int]:
    """Model and layer for a length."""
    return ("minilm", 3) if length <= 512 else ("smollm2", 18)


def text_of(length: int) -> str:
    """The beginning of a story, of at most `length` tokens of the model."""
    model = load_model(settings(length)[0], "cpu")
    return cut(model.tokenizer, next(each.text for each in long_texts() if each.name == "prince"), length)[0].text


def memory(browser: Browser) -> float:
    """Proportional set size of the browser's processes, in MB."""
    mine = psutil.Process().children(recursive=True)
    total = 0
    for process in mine:
        try:
            if "chrom" in process.name():
                total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


FRAME = """() => { window.answered = new Promise(done => addEventListener('pointermove', () => {
    const start = performance.now();
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => done(performance.now() - start);
      channel.port2.postMessage(0);
    });
  }, { once: true, capture: true })); }"""


def frame_after(page: Page, x: float, y: float) -> float:
    """Milliseconds from a movement of the mouse to the end of the frame that answers it; infinite after half a minute."""
    page.mouse.move(x + 9, y + 9)
    page.evaluate(FRAME)
    page.mouse.move(x, y)
    late = "new Promise(done => setTimeout(() => done(-1), 30000))"
    took = float(page.evaluate(f"Promise.race([window.answered, {late}])"))
    return took if took >= 0 else float("inf")


def blank(browser: Browser, page: Page) -> float:
    """The browser's memory with an empty page open."""
    page.goto("about:blank")
    page.wait_for_timeout(500)
    return memory(browser)


def hovers(page: Page, box: dict[str, float]) -> float:
    """The median over five places of a picture, as far as it is in the window."""
    width, height = min(box["width"], 1200 - box["x"]), min(box["height"], 860 - box["y"])
    places = [(box["x"] + width * f, box["y"] + height * f) for f in (0.3, 0.45, 0.6, 0.5, 0.7)]
    return statistics.median(frame_after(page, x, y) for x, y in places)


def peer(name: str, length: int, python: str, cdn: Path | None, patience: float) -> Measured | str:
    """One round of a peer, in a browser of its own."""
    model, layer = settings(length)
    with tempfile.TemporaryDirectory() as folder:
        text, out = Path(folder) / "text.txt", Path(folder) / "page.html"
        text.write_text(text_of(length), "utf-8")
        command = [python, "-m", "benchmarks.peers.page", name, model, str(layer), str(text), str(out)]
        made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=lent(), check=False)
        if made.returncode:
            return made.stderr.strip().splitlines()[-1]
        produce, nbytes = json.loads(made.stdout.splitlines()[-1])["seconds"], out.stat().st_size
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(patience * 1000)
            empty = blank(browser, page)
            page.route(re.compile("^https://"), lambda route: serve(route, cdn))
            start = time.perf_counter()
            try:
                page.goto(f"file://{out}", wait_until="commit")
                page.wait_for_function(f"() => {DRAWN[name]}")
                page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
                paint = time.perf_counter() - start
                held = memory(browser) - empty
                drawn = page.locator("canvas:visible, svg:visible").first.bounding_box()
                if drawn is None:
                    return "nothing to see"
                return Measured(produce, paint, nbytes, held, hovers(page, drawn))
            except Error:
                return f"not painted within {patience:.0f} s ({nbytes:,} bytes, {produce:.1f} s to produce)"


def lent() -> dict[str, str]:
    """The environment in which a peer's Python finds the app's packages behind its own."""
    site = next(path for path in sys.path if path.endswith("site-packages"))
    return os.environ | {"PYTHONPATH": site, "HF_HUB_OFFLINE": "1"}


def serve(route: Route, cdn: Path | None) -> None:
    """What BertViz asks its CDN for, from the folder with node_modules."""
    name = CDN.get(route.request.url.rpartition("/")[2])
    if cdn is None or name is None:
        route.abort()
    else:
        route.fulfill(path=cdn / "node_modules" / name, content_type="text/javascript")


def ours(browser: Browser, address: str, length: int) -> Measured:
    """One round of ours: the app is open on another text; the text is pasted and read."""
    model, layer = settings(length)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(120_000)
    empty = blank(browser, page)
    counter = Counter(page)
    # Warm: the model is loaded and has read a text; that the story was read before does not help, each round's text is new.
    page.goto(
        f"{address}/long?{urlencode({'model': model, 'layer': layer, 'head': 0, 'pasted': 'A first text, short.'})}"
    )
    page.wait_for_function(f"() => {{ try {{ return {STAGE}.dataset.sharp == '1' }} catch {{ return false }} }}")
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Paste a text").click()
    page.locator(".st-key-long_pasted textarea").fill(fresh(text_of(length)))
    before, picture = counter.bytes, page.evaluate(f"{STAGE}.dataset.picture")
    condition = f"{STAGE}.dataset.picture != {json.dumps(picture)} && {STAGE}.dataset.sharp == '1'"
    took = float(page.evaluate(PAINTED, [READ_IT, condition])) / 1000
    page.wait_for_timeout(2500)  # the small maps of all heads and the curves below count as well
    sent = counter.bytes - before
    held = memory(browser) - empty
    page.keyboard.press("Escape")
    hover = hovers(page, page.get_by_test_id("deep-stage").bounding_box())
    page.close()
    return Measured(took, 0.0, sent, held, hover)


_ROUND = iter(range(10_000))


def fresh(text: str) -> str:
    """The same text with another first letter each round, so that nothing of it is known."""
    letter = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[next(_ROUND) % 26]
    return letter + text[1:]


def first_visit(browser: Browser, address: str) -> int:
    """Bytes of all scripts, styles and fonts that a browser loads once."""
    page = browser.new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(f"{address}/long?model=minilm&pasted=A+text")
    page.wait_for_function(
        f"() => {{ try {{ return {STAGE}.dataset.sharp == '1' }} catch {{ return false }} }}", timeout=60_000
    )
    page.wait_for_timeout(2000)
    page.close()
    return sum(sizes)


def show(length: int, name: str, rounds: list[Measured | str], best: float | None) -> float | None:
    """A row of the table; returns the seconds from text to picture."""
    good = [each for each in rounds if isinstance(each, Measured)]
    if not good:
        print(f"| {length:,} | {name} | {rounds[-1]} |  |  |  |  |  |", flush=True)
        return None
    median = {
        f: statistics.median(getattr(each, f) for each in good)
        for f in ("produce", "paint", "nbytes", "memory", "hover")
    }
    total = median["produce"] + median["paint"]
    times = "1" if best is None else f"{total / best:.0f}"
    print(
        f"| {length:,} | {name} | {median['produce']:.2f} s | {total:.2f} s | {times} | {median['nbytes'] / 1e6:.3f} MB | "
        f"{median['memory']:.0f} MB | {median['hover']:.0f} ms |",
        flush=True,
    )
    return total


def main() -> None:
    """Runs every length and tool and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64, 256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default=str(ROOT / ".venv-bench" / "bin" / "python"))
    parser.add_argument("--cdn", type=Path)
    parser.add_argument("--patience", type=float, default=180.0)
    parser.add_argument("--only", nargs="*", default=["ours", *PEERS])
    options = parser.parse_args()
    print("| tokens | tool | produced | text to painted | times ours | to the browser | browser memory | hover |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as address:
        for length in options.lengths:
            found: dict[str, list[Measured | str]] = {name: [] for name in options.only}
            for _ in range(options.rounds):
                for name in options.only:
                    if found[name] and isinstance(found[name][-1], str):
                        continue  # given up
                    if name == "ours":
                        with chromium() as browser:
                            found[name].append(ours(browser, address, length))
                    else:
                        found[name].append(peer(name, length, options.python, options.cdn, options.patience))
            best = show(length, "Headlight", found["ours"], None) if "ours" in found else None
            for name in PEERS:
                if name in found:
                    show(length, name, found[name], best)
        with chromium() as browser:
            print(
                f"\nOnce, on a first visit: {first_visit(browser, address) / 1e6:.1f} MB of scripts, styles and fonts for ours."
            )


if __name__ == "__main__":
    main()
