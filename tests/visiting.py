"""One real server and one real Chromium for all browser tests; a new browser context for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.browser import chromium, server

expect.set_options(timeout=60_000)  # as long as every other wait: a busy machine is no fault of the page
SENTENCE = "The animal didn't cross the street, because it was too tired."
# Chromium's own word on a favicon it could not have, and Streamlit's on looking for itself below a page's address first;
# everything else in the console is ours to answer for.
HARMLESS = ("favicon", "/_stcore/health", "/_stcore/host-config")


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running app."""
    with server(tmp_path_factory.mktemp("server") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with chromium() as opened:
        yield opened


def told(message: ConsoleMessage) -> str:
    """A message of the console, with the address that it is about."""
    return f"{message.text} {message.location.get('url', '')}"


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """open_page(width=…, dark=…, base=…, path=…, first=…, **link): a page on that link, painted; console errors fail the
    test. path: of another page than Explore ("compare"); first: the key of the map that it is painted with."""
    contexts, errors = [], []

    def open_it(
        width: int = 1280, dark: bool = False, base: str = address, painted: bool = True, path: str = "",
        first: str = "head_map", **link: object,
    ) -> Page:  # fmt: skip
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(told(message)) if message.type == "error" else None)
        page.goto(f"{base}/{path}?{urlencode(link)}" if link else f"{base}/{path}")
        if painted:
            page.wait_for_selector(f".st-key-{first} .heatmaplayer image")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [e for e in errors if not any(word in e for word in HARMLESS)] == []
