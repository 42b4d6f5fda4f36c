"""Opens an address of the running app in a real browser and tells when Explore's picture was painted.

python -m scripts.painted BEGAN ADDRESS     BEGAN: from when on seconds count, as `date +%s` tells it
"""

from __future__ import annotations

import sys
import time
from urllib.parse import parse_qs, urlsplit

from tests.browser import chromium

MAP = ".st-key-head_map .heatmaplayer image"
TITLE = "document.querySelector('.st-key-head_map .js-plotly-plot').layout.title.text"


def main() -> None:
    """Fails where the page has errors, or is not the one that the address asks for."""
    began, address = float(sys.argv[1]), sys.argv[2]
    with chromium() as browser:
        page, errors = browser.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector(MAP, timeout=300_000)
        print(f"painted {time.time() - began:.1f} s after the start: {page.evaluate(TITLE)}")
        if errors or parse_qs(urlsplit(page.url).query)["model"] != parse_qs(urlsplit(address).query)["model"]:
            sys.exit(f"{page.url}: {errors}")


if __name__ == "__main__":
    main()
