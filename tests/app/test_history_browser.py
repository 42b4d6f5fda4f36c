"""Back and Forward in a real browser: over pages as over choices, and out of the app at its beginning."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.visiting import until
from tests.viz.pages.explore.test_browser import Opener, link

pytestmark = pytest.mark.browser


def heading(page: Page, title: str) -> None:
    expect(page.locator("h1.headlight")).to_contain_text(title, timeout=60_000)


def test_back_goes_to_the_page_before_with_its_choices(open_page: Opener) -> None:
    page = open_page(path="quality", painted=False, measure="induction")
    heading(page, "Quality")
    page.get_by_role("link", name="Positions").click()
    page.wait_for_selector(".st-key-figure_dials .main-svg", state="attached")
    page.wait_for_url("**section=rope**")
    until(page, "!document.querySelector('[data-testid=stStatusWidget]')")
    for _ in range(2):  # the address before it was completed, where the script that keeps the history was not there yet
        page.go_back()
        if "/quality" in page.url:
            break
        page.wait_for_url("**section=rope**")
    heading(page, "Quality")
    assert link(page) == {"measure": "induction"}


def test_back_leaves_the_app_where_it_was_entered(open_page: Opener) -> None:
    page = open_page(text="A dog ran off.")
    page.wait_for_url("**head=**")
    for _ in range(2):  # the link as it came, where it was completed before the script that keeps the history was there
        page.go_back()
        until(page, "!document.querySelector('[data-testid=stStatusWidget]')")
        if page.url == "about:blank":
            break
    assert page.url == "about:blank"
