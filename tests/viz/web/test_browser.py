"""The policy and the addresses in a real browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from headlight.viz.web.preview import TOLD
from tests.visiting import until
from tests.viz.pages.explore.test_browser import Opener
from tests.viz.web.conftest import PUBLIC, Hosted
from tests.viz.web.test_preview import get

pytestmark = pytest.mark.browser
WATCH = """window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective + " " + e.blockedURI));"""
INJECTED = """async (outside) => {
  const settled = (make) => new Promise((done) => {
    const node = make();
    node.onload = node.onerror = () => done();
    document.body.append(node);
  });
  const inline = document.createElement("script");
  inline.textContent = "window.injected = true";
  document.body.append(inline);
  const holder = document.createElement("div");
  document.body.append(holder);
  holder.innerHTML = "<a id=trap onclick='window.injected = true'>x</a>";
  holder.firstChild.click();
  for (const tag of ["script", "img"])
    await settled(() => Object.assign(document.createElement(tag), { src: outside + "/" + tag }));
  try { window.eval("window.injected = true"); } catch {}
  try { await fetch(outside + "/fetch", { mode: "no-cors" }); } catch {}
  return Boolean(window.injected);
}"""


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """Another site, and what was asked of it."""
    asked: list[str] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    site = HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{site.server_port}", asked
    site.shutdown()
    thread.join()
    site.server_close()


def settled(page: Page) -> None:
    expect(page.locator("h1.headlight").first).to_be_visible()
    until(page, "!document.querySelector('[data-testid=stStatusWidget]')")


def test_every_page_draws_under_the_policy(open_page: Opener, address: str) -> None:
    page = open_page(path="about", painted=False)
    page.add_init_script(WATCH)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in TOLD:
        page.goto(f"{address}/{path}")
        settled(page)
        assert page.evaluate("violations") == [], path
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []


@pytest.mark.parametrize("bypassed", [False, True])
def test_injected_scripts_and_outside_pictures_are_stopped(
    chrome: BrowserContext, address: str, outside: tuple[str, list[str]], bypassed: bool
) -> None:
    site, asked = outside
    page = chrome.new_page()
    chrome.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": bypassed})  # without it all of it would work
    page.goto(f"{address}/about")
    settled(page)
    assert page.evaluate(INJECTED, site) is bypassed
    assert sorted(asked) == (["/fetch", "/img", "/script"] if bypassed else [])
    page.close()


def test_below_a_path_pages_draw_links_are_the_public_ones_and_the_log_holds_no_text(
    open_page: Opener, hosted: Hosted
) -> None:
    page = open_page(base=hosted.address, path="", text="Zanzibarian xylophones hum.")
    page.get_by_test_id("share").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{PUBLIC}/?") and "Zanzibarian" in copied
    page.get_by_role("link", name="Positions").click()
    page.wait_for_selector(".st-key-figure_dials .main-svg", state="attached")
    page.wait_for_url(f"{hosted.address}/positions?**")
    page.get_by_test_id("share").click()
    expect(page.get_by_test_id("share").locator("xpath=following-sibling::*")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith(f"{PUBLIC}/positions?")
    lines = [json.loads(line) for line in hosted.log.read_text().splitlines() if line.startswith("{")]
    runs = [line for line in lines if line.get("kind") == "run"]
    assert {"page": "explore", "model": "minilm", "outcome": "ok"}.items() <= runs[0].items()
    assert runs[0]["tokens"] > 3 and runs[0]["ms"] > 0
    assert "anzibar" not in hosted.log.read_text()
    told = get(hosted.metrics).read().decode()
    assert 'headlight_requests_total{kind="run",model="minilm",outcome="ok",page="explore"} 1.0' in told
    assert "headlight_pages_open 1.0" in told and "anzibar" not in told
