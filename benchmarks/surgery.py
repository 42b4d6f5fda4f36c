"""How long a person waits on Surgery: from a changed setting to the painted picture, in a real browser, everything warm.

    python -m benchmarks.surgery [--rounds 20]

Prints medians and 90th percentiles in milliseconds. The slider itself waits 200 ms for further keys before it tells the
server (Streamlit's own); that is part of what a person waits and is counted.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page

from benchmarks.explore import Counter, measure
from tests.browser import chromium, server

TEXT = "The animal didn't cross the street, because it was too tired."
AFTER = "document.querySelector('.st-key-surgery_after .js-plotly-plot')"
KEYS = ("ArrowRight", "ArrowLeft")


def turn(label: str) -> Callable[[int], tuple[str, str]]:
    """Moves a slider by one and back; done when the map after the conversion has other numbers."""

    def act(i: int) -> tuple[str, str]:
        begin = f"""window.before = Array.from({AFTER}._fullData[0].z, row => Array.from(row)).flat().join();
            const thumb = document.querySelector('[role=slider][aria-label="{label}"]');
            thumb.focus();
            const key = {{key: '{KEYS[i % 2]}', code: '{KEYS[i % 2]}', bubbles: true, cancelable: true}};
            thumb.dispatchEvent(new KeyboardEvent('keydown', key));
            thumb.dispatchEvent(new KeyboardEvent('keyup', key));"""
        return begin, f"Array.from({AFTER}._fullData[0].z, row => Array.from(row)).flat().join() !== window.before"

    return act


def open_page(page: Page, address: str, **link: object) -> None:
    """Opens Surgery and waits until nothing is measured in the background any more."""
    page.goto(f"{address}/surgery?{urlencode({'text': TEXT} | link)}")
    page.wait_for_selector(".st-key-surgery_after .heatmaplayer image", timeout=120_000)
    page.wait_for_selector(".st-key-surgery_curve .main-svg", state="attached", timeout=300_000)
    page.wait_for_function("!document.body.innerText.includes('Measuring in the background')", timeout=900_000)
    page.wait_for_timeout(2_000)


def main() -> None:
    """Runs every case and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    options = parser.parse_args()
    rank, heads = "Rank of the latent", "KV heads left"
    cases = [
        ("rank, MiniLM", {"model": "minilm", "method": "weighted", "rank": 128}, rank, 500),
        ("KV heads, MiniLM", {"model": "minilm", "method": "mean", "heads": 4}, heads, 500),
        ("rank, MiniLM, all layers", {"model": "minilm", "method": "weighted", "rank": 128, "whole": 1}, rank, 500),
        ("rank, SmolLM2", {"model": "smollm2", "method": "weighted", "rank": 128}, rank, 2000),
        ("rank, SmolLM2, all layers", {"model": "smollm2", "method": "weighted", "rank": 128, "whole": 1}, rank, 2000),
    ]
    cases = [case for case in cases if options.only in case[0]]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {options.rounds} rounds")
    print(f"{'interaction':36}{'median ms':>10}{'p90 ms':>8}{'bar ms':>8}{'bytes':>10}")
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as address, chromium() as browser:
        for name, link, label, bar in cases:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            counter = Counter(page)
            open_page(page, address, **link)
            times, sent = measure(page, counter, options.rounds, turn(label))
            p90 = statistics.quantiles(times, n=10)[-1]
            print(
                f"{name:36}{statistics.median(times):10.0f}{p90:8.0f}{bar:8}{statistics.median(sent):10,.0f}",
                flush=True,
            )
            page.close()


if __name__ == "__main__":
    main()
