"""Watch it think in a real browser: a step appends a row, bytes grow, Play writes by itself and Pause stops it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.visiting import until
from tests.viz.pages.explore.test_browser import Opener, link

pytestmark = pytest.mark.browser
MAP = "document.querySelector('.st-key-watch_map .js-plotly-plot')"
ROWS = f"{MAP}._fullData[0].z.length"
STEP = ".st-key-watch_step button"


def held(page: Page) -> int:
    text = page.get_by_text(re.compile(r"Remembered: [\d,]+ bytes")).inner_text()
    return int(re.sub(r"\D", "", text.split("bytes")[0]))


def test_a_step_appends_a_row_and_a_tokens_bytes(open_page: Opener) -> None:
    page = open_page(path="watch", first="watch_map", text="Once upon a time", model="gqa-rope", count=2)
    until(page, f"{ROWS} == 2")
    before = held(page)
    page.locator(STEP).click()
    until(page, f"{ROWS} == 3")
    expect(page.get_by_text(f"Remembered: {before + 128 * 4 * 4:,} bytes")).to_be_visible()
    assert link(page)["count"] == "3"
    page.go_back()
    until(page, f"{ROWS} == 2")


def test_play_writes_by_itself_until_pause(open_page: Opener) -> None:
    page = open_page(path="watch", painted=False, text="Once upon a time", model="gqa-rope", count=0)
    page.get_by_role("button", name="Play").click()
    until(page, f"{ROWS} >= 4")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    until(page, f"new URL(location).searchParams.get('count') == {ROWS}")
    rows = page.evaluate(ROWS)
    page.locator(STEP).click()  # had the clock gone on, this would not be the very next token
    until(page, f"{ROWS} > {rows}")
    assert page.evaluate(ROWS) == rows + 1


def test_the_picture_stays_the_same_one_through_play_and_pause(open_page: Opener) -> None:
    page = open_page(path="watch", first="watch_map", text="Once upon a time", model="gqa-rope", count=2)
    page.evaluate(f"{MAP}.marked = true")
    page.get_by_role("button", name="Play").click()
    until(page, f"{ROWS} >= 4")
    page.get_by_role("button", name="Pause").click()
    until(page, f"new URL(location).searchParams.get('count') == {ROWS}")
    assert page.evaluate(f"{MAP}.marked")
