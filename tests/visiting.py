"""One real server and one real Chromium for all browser tests; a new tab without a past for each page that a test opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests.browser import profile, server

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
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A headless Chromium."""
    with profile(tmp_path_factory.mktemp("profile")) as opened:
        opened.grant_permissions(["clipboard-read", "clipboard-write"])
        yield opened


def forgotten(page: Page, url: str) -> None:
    """Takes from the browser what a site has left in it."""
    session, parts = page.context.new_cdp_session(page), urlsplit(url)
    session.send(
        "Storage.clearDataForOrigin",
        {"origin": f"{parts.scheme}://{parts.netloc}", "storageTypes": "cookies,local_storage,indexeddb"},
    )
    session.detach()


def until(page: Page, condition: str) -> None:
    """Waits until a condition in JavaScript holds, an error being none; asked ten times a second, not for every frame."""
    page.wait_for_function(f"() => {{ try {{ return {condition}; }} catch {{ return false; }} }}", polling=100)


def told(message: ConsoleMessage) -> str:
    """A message of the console, with the address that it is about."""
    return f"{message.text} {message.location.get('url', '')}"


@pytest.fixture
def open_page(chrome: BrowserContext, address: str) -> Iterator[Callable[..., Page]]:
    """open_page(width=…, dark=…, base=…, path=…, first=…, **link): a page on that link, painted; console errors fail the
    test. path: of another page than Explore ("compare"); first: the key of the map that it is painted with."""
    errors: list[str] = []

    def open_it(
        width: int = 1280, dark: bool = False, base: str = address, painted: bool = True, path: str = "",
        first: str = "head_map", **link: object,
    ) -> Page:  # fmt: skip
        page = chrome.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        forgotten(page, base)
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(told(message)) if message.type == "error" else None)
        page.goto(f"{base}/{path}?{urlencode(link)}" if link else f"{base}/{path}")
        if painted:
            page.wait_for_selector(f".st-key-{first} .heatmaplayer image")
        return page

    yield open_it
    for page in chrome.pages[1:]:  # without its first, empty one the browser would end
        page.close()
    assert [e for e in errors if not any(word in e for word in HARMLESS)] == []
