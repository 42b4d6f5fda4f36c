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
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page

from benchmarks.explore import PAINTED, Counter
from tests.browser import chromium, server

TEXT = "The animal didn't cross the street, because it was too tired."
AFTER = "document.querySelector('.st-key-surgery_after .js-plotly-plot')"
CELLS = f"Array.from({AFTER}._fullData[0].z, row => Array.from(row)).flat().join()"
REMEMBER, CHANGED = f"window.before = {CELLS}", f"{CELLS} !== window.before"
KEYS = ("ArrowRight", "ArrowLeft")


def turn(page: Page, widget: str, rounds: int, counter: Counter) -> tuple[list[float], list[int]]:
    """Moves a slider by one and back; a round is done when the map after the conversion has other numbers, painted.

    The keys are real ones: the range input does not take made-up events. What pressing takes is counted.
    """
    times, sent = [], []
    slider = page.locator(f".st-key-{widget} input[type=range]").first
    for i in range(rounds + 3):
        before = counter.bytes
        slider.focus()
        page.evaluate(f"([begin, ready]) => {{ window.painted = ({PAINTED})([begin, ready]); }}", [REMEMBER, CHANGED])
        page.keyboard.press(KEYS[i % 2])
        times.append(page.evaluate("window.painted"))
        page.wait_for_timeout(1_000)  # the rest of the page settles, so that rounds do not overlap
        sent.append(counter.bytes - before)
    return times[3:], sent[3:]


def open_page(page: Page, address: str, **link: object) -> None:
    """Opens Surgery and waits until nothing is measured in the background any more."""
    page.goto(f"{address}/surgery?{urlencode({'text': TEXT} | link)}")
    page.wait_for_selector(".st-key-surgery_after .heatmaplayer image", timeout=120_000)
    page.wait_for_selector(".st-key-surgery_curve .main-svg", state="attached", timeout=300_000)
    quiet = "!document.body.innerText.includes('Measuring in the background')"
    page.wait_for_function(quiet, timeout=900_000)
    page.wait_for_timeout(4_000)
    page.wait_for_function(quiet, timeout=900_000)  # between two of its looks the page may have shown none
    page.wait_for_timeout(2_000)


def main() -> None:
    """Runs every case and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    options = parser.parse_args()
    rank, heads = "surgery_rank", "surgery_heads"
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
        for name, link, widget, bar in cases:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            counter = Counter(page)
            open_page(page, address, **link)
            times, sent = turn(page, widget, options.rounds, counter)
            p90 = statistics.quantiles(times, n=10)[-1]
            print(
                f"{name:36}{statistics.median(times):10.0f}{p90:8.0f}{bar:8}{statistics.median(sent):10,.0f}",
                flush=True,
            )
            page.close()


if __name__ == "__main__":
    main()
