"""How long a person waits on Explore: from an edit, a click or a hover to the painted picture, in a real browser.

    python -m benchmarks.explore [--rounds 20] [--only siblings]

Prints medians and 90th percentiles in milliseconds, and the bytes that one interaction sends to the browser.
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

from tests.browser import chromium, server

WORDS = "river house music winter garden window doctor market bridge silver flower coffee summer planet letter".split()  # noqa: SIM905

# Resolves once `ready` holds and the frame that shows it has been painted: a message posted inside an animation frame
# arrives after that frame's paint.
PAINTED = """([begin, condition]) => new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error("not painted within 15 s: " + condition)), 15000);
  const isReady = new Function("return " + condition), start = performance.now();
  const afterPaint = (then) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = then;
    channel.port2.postMessage(0);
  });
  new Function(begin)();
  const ready = () => { try { return isReady(); } catch { return false; } };
  const look = () => ready()
    ? afterPaint(() => resolve(performance.now() - start))
    : requestAnimationFrame(look);
  requestAnimationFrame(look);
})"""
SHADOW = "document.querySelector('.st-key-{} [data-testid=stBidiComponentIsolated]').shadowRoot"
CHART = "document.querySelector('.st-key-head_map .js-plotly-plot')"


def sentence(n_tokens: int) -> str:
    """A text of n_tokens one-token words, the two special tokens of MiniLM counted."""
    words = [("the", "big", "cat", "saw", "a", "red", "dog", "and")[i % 8] for i in range(n_tokens - 4)]
    return " ".join(["the", "start", *words])


class Counter:
    """Bytes that the server sends over the websocket."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _count(self, frame: bytes | str) -> None:
        self.bytes += len(frame)


def measure(
    page: Page, counter: Counter, rounds: int, act: Callable[[int], tuple[str, str]]
) -> tuple[list[float], list[int]]:
    """Times and bytes of `rounds` actions; `act(i)` gives what begins it and what must then hold, in JavaScript."""
    times, sent = [], []
    for i in range(rounds + 3):
        before = counter.bytes
        begin, ready = act(i)
        times.append(page.evaluate(PAINTED, [begin, ready]))
        page.wait_for_timeout(600)  # the rest of the page settles, so that actions do not overlap
        sent.append(counter.bytes - before)
    return times[3:], sent[3:]


def edit(n_tokens: int) -> Callable[[int], tuple[str, str]]:
    """Replaces the first word and presses Enter; done when the map's first word is the new one."""

    def act(i: int) -> tuple[str, str]:
        word = WORDS[i % len(WORDS)]
        text = sentence(n_tokens).replace("start", word)
        begin = f"""
          const box = document.querySelector('.st-key-text input');
          const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
          box.focus(); set.call(box, {text!r}); box.dispatchEvent(new Event('input', {{bubbles: true}}));
          const enter = {{key: 'Enter', code: 'Enter', keyCode: 13, bubbles: true}};
          setTimeout(() => box.dispatchEvent(new KeyboardEvent('keydown', enter)), 0);"""
        return begin, f"{CHART}.layout.xaxis.ticktext.includes({word!r})"

    return act


def switch_head(i: int) -> tuple[str, str]:
    """Clicks another small map; done when the large map's title names it."""
    head = 1 + i % 2 * 3
    return (
        f"{SHADOW.format('grid')}.querySelector('[data-testid=head-{head}]').click()",
        f"{CHART}.layout.title.text.endsWith('head {head}')",
    )


def preview_head(i: int) -> tuple[str, str]:
    """The same click; done when the picked head's colours stand in the large map (its exact numbers follow)."""
    begin, _ = switch_head(i)
    return begin, "document.querySelector('[data-testid=chart-preview]').style.display == 'block'"


def hover_token(i: int) -> tuple[str, str]:
    """Moves over a token; done when the caption names it."""
    token = 3 + i % 5
    begin = f"""const t = {SHADOW.format("strip")}.querySelector('[data-testid=token-{token}]');
        for (const kind of ['pointerover', 'pointerenter', 'pointermove'])
          t.dispatchEvent(new PointerEvent(kind, {{bubbles: true, composed: true, pointerType: 'mouse'}}));
        for (const kind of ['mouseover', 'mouseenter', 'mousemove'])
          t.dispatchEvent(new MouseEvent(kind, {{bubbles: true, composed: true}}));"""
    return begin, f"{SHADOW.format('strip')}.querySelector('[data-testid=token-{token}]').classList.contains('focus')"


def switch(key: str, titles: tuple[str, str]) -> Callable[[int], tuple[str, str]]:
    """Presses the other of two options of a switch of the siblings; done when the large map's numbers are others."""

    def act(i: int) -> tuple[str, str]:
        begin = f"""window.before = {CHART}.calcdata[0][0].z[5][3];
            const options = [...document.querySelectorAll('.st-key-{key} button')];
            options.find((option) => option.textContent.trim() == '{titles[i % 2]}').click()"""
        return begin, f"{CHART}.calcdata[0][0].z[5][3] !== window.before"

    return act


def open_page(page: Page, address: str, model: str, n_tokens: int) -> None:
    """Opens Explore on a text of that length and waits for the first picture."""
    link = urlencode({"model": model, "text": sentence(n_tokens), "layer": 3, "head": 1, "query": 2})
    page.goto(f"{address}/?{link}")
    page.wait_for_selector(".st-key-head_map .heatmaplayer image", timeout=60_000)
    page.wait_for_timeout(2_000)


def main() -> None:
    """Runs every case and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    options = parser.parse_args()
    rounds = options.rounds
    cases = [
        ("edit, MiniLM, 32 tokens", "minilm", 32, edit(32), 200),
        ("edit, MiniLM, 128 tokens", "minilm", 128, edit(128), 450),
        ("edit, SmolLM2, 32 tokens", "smollm2", 32, edit(32), 700),
        ("switch head, MiniLM, picture", "minilm", 32, preview_head, 100),
        ("switch head, MiniLM, all numbers", "minilm", 32, switch_head, 250),
        ("switch head, SmolLM2, picture", "smollm2", 32, preview_head, 100),
        ("switch head, SmolLM2, all numbers", "smollm2", 32, switch_head, 250),
        ("hover a token, MiniLM, 32 tokens", "minilm", 32, hover_token, 100),
        ("switch attention, siblings", "mha-rope", 32, switch("attention", ("GQA", "MHA")), 250),
        ("switch position, siblings", "mha-rope", 32, switch("position", ("Sinusoidal", "RoPE")), 250),
    ]
    cases = [case for case in cases if options.only in case[0]]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {rounds} rounds")
    print(f"{'interaction':36}{'median ms':>10}{'p90 ms':>8}{'bar ms':>8}{'bytes':>10}")
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as address, chromium() as browser:
        for name, model, n_tokens, act, bar in cases:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            counter = Counter(page)
            open_page(page, address, model, n_tokens)
            times, sent = measure(page, counter, rounds, act)
            p90 = statistics.quantiles(times, n=10)[-1]
            print(
                f"{name:36}{statistics.median(times):10.0f}{p90:8.0f}{bar:8}{statistics.median(sent):10,.0f}",
                flush=True,
            )
            page.close()


if __name__ == "__main__":
    main()
