"""Links that people keep: each of links.json, opened by a new visitor, shows what it showed when it was recorded.

Compared are the value of every widget as a visitor reads it, which of them cannot be moved, the address that the page writes
back, and how many notes it gives (their wording may change; in links.json it stands for people). What the links ask for (page,
params) is written by hand; `python -m tests.app.test_links` records anew what they show.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Widget
from streamlit.util import calc_hash

ROOT = Path(__file__).resolve().parents[2]
FRAME = ROOT / "viz/frame/main.py"  # the script that app.py serves
SECONDS = float(os.environ.get("HEADLIGHT_APPTEST_SECONDS", "240"))  # of one page; a busy machine may be given more
FILE = Path(__file__).with_name("links.json")
LINKS: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))
SEEN = ("widgets", "fixed", "link")
WAITING = "long_cancel"  # the button beside the progress of a text that is being read
# Not of the link: the button of Streamlit's form, and one that is gone once somebody in this process has measured.
LEFT_OUT = ("FormSubmitter:long_paste-Read it", "long_gaps")
# A widget's key now -> its key when the links were recorded, where it got another one.
RENAMED: dict[str, str] = {}


def opened(page: str, params: dict[str, str]) -> AppTest:
    """A page by its link, in a new session, once nothing more is to come."""
    app = AppTest.from_file(str(FRAME), default_timeout=SECONDS)
    app._page_hash = calc_hash("" if page == "explore" else page)  # switch_page() could not go there before a first run
    app.query_params.update(params)
    app.run()
    while any(button.key == WAITING for button in app.button):
        time.sleep(0.2)
        app.run()
    return app


def seen(app: AppTest) -> dict[str, Any]:
    """What a visitor sees of it, as JSON has it."""
    widgets = [node for node in app.main if isinstance(node, Widget) and node.key and node.key not in LEFT_OUT]
    keyed = {RENAMED.get(str(node.key), str(node.key)): node for node in widgets}
    boxes = [box.value for box in (*app.info, *app.warning, *app.error)]
    return {
        "widgets": {key: _shown(keyed[key]) for key in sorted(keyed)},
        "fixed": sorted(key for key, node in keyed.items() if node.proto.disabled),
        "link": {key: app.query_params[key] for key in sorted(app.query_params)},
        "notes": [line.replace("\\", "") for box in boxes for line in box.split("  \n")],
    }


def _shown(widget: Widget) -> Any:
    """A chosen option by the words on it, anything else by its value."""
    value, words = widget.value, getattr(widget, "format_func", str)
    if value is None or (isinstance(value, bool | int | float | str) and words is str):
        return value
    return [str(words(each)) for each in value] if isinstance(value, list) else str(words(value))


def named(row: dict[str, Any]) -> str:
    """A test's name: the page, the section, and what stands out."""
    params = row["params"]
    words = [row["page"], *(params[name] for name in ("section", "model", "method", "order") if name in params)]
    return "-".join(words)


@pytest.mark.parametrize("row", LINKS, ids=named)
def test_a_link_shows_what_it_showed(row: dict[str, Any]) -> None:
    app = opened(row["page"], row["params"])
    assert not app.exception, [each.value for each in app.exception]
    found = seen(app)
    for what in SEEN:
        assert found[what] == row[what], what
    assert len(found["notes"]) == len(row["notes"]), f"{found['notes']}, where there was {row['notes']}"


def record() -> None:
    """Writes what the links show now."""
    for number, row in enumerate(LINKS, 1):
        began = time.monotonic()
        app = opened(row["page"], row["params"])
        if app.exception:
            raise SystemExit(f"{row['page']} {row['params']}: {[each.value for each in app.exception]}")
        row.update(seen(app))
        print(f"{number}/{len(LINKS)} {time.monotonic() - began:.1f} s {named(row)} {row['notes']}", flush=True)
    FILE.write_text(json.dumps(LINKS, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
