"""The README's pictures and the one beside shared links, taken from the running app: .venv/bin/python -m scripts.screenshots"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser import ROOT, chromium, server

# What a small picture can do without: navigation, controls, and the space above.
BARE = """
header, [data-testid=stHeader], .st-key-controls { display: none !important; }
[data-testid=stMainBlockContainer] { padding: 1rem 2.5rem 0 !important; }
"""
PICTURES = ROOT / "docs" / "pictures"


def main() -> None:
    """Explore on its default sentence, light and dark."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as address, chromium() as browser:
        for name, link, dark in (("explore", "", False), ("explore-dark", "?model=smollm2&skip_first=1", True)):
            page = browser.new_page(
                viewport={"width": 1280, "height": 1080},
                color_scheme="dark" if dark else "light",
                device_scale_factor=1,
            )
            page.goto(f"{address}/{link}")
            page.wait_for_selector(".st-key-head_map .heatmaplayer image", timeout=60_000)
            page.wait_for_selector(".st-key-survey_map .heatmaplayer image")
            page.screenshot(path=PICTURES / f"{name}.png")
            page.close()
        preview(browser, address)


def preview(browser: Browser, address: str) -> None:
    """assets/preview.png: 1200 x 630, the sentence and the head that looks at "animal"."""
    page = browser.new_page(viewport={"width": 1200, "height": 630}, color_scheme="light", device_scale_factor=1)
    page.goto(f"{address}/?layer=3&head=1&query=11")
    page.wait_for_selector(".st-key-head_map .heatmaplayer image", timeout=60_000)
    page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')")
    page.add_style_tag(content=BARE)
    page.screenshot(path=ROOT / "assets" / "preview.png")
    page.close()


if __name__ == "__main__":
    main()
