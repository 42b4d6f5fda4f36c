"""The README's pictures, taken from the running app: .venv/bin/python -m scripts.screenshots"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.browser import ROOT, chromium, server

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


if __name__ == "__main__":
    main()
