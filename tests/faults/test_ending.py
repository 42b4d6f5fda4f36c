"""The end of a server: asked for, it drains and exits with 0; sudden, its visitors come back by their link."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect
from websockets.exceptions import ConnectionClosed

from benchmarks.visitor import Visitor, apart
from tests.browser import free_port
from tests.faults.servers import start
from tests.visiting import until

# Keeps how the page's script fares, so that its first run on the new server can be waited for.
STATES = """() => {
    const app = document.querySelector('.stApp');
    window.states = [];
    new MutationObserver(() => window.states.push(app.dataset.testScriptState)).observe(
        app, {attributes: true, attributeFilter: ['data-test-script-state']});
}"""
BOUND = 20  # seconds within which a server that was asked to go has gone


async def edit_while_it_ends(address: str, process: subprocess.Popen[bytes]) -> str:
    """What became of an edit that was under way when the signal came: "finished" or "told"."""
    async with Visitor(address) as visitor:
        await visitor.open(120)
        edit = asyncio.create_task(visitor.edit("a request under way " * 40, BOUND))
        await asyncio.sleep(0)  # it is sent
        process.send_signal(signal.SIGTERM)
        try:
            answer = await edit
        except ConnectionClosed:
            return "told"
        return "finished" if answer.picture is not None else "lost"


def test_a_server_that_is_asked_to_go_ends_with_0_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    port = free_port()
    process = start(port, tmp_path / "log")
    try:
        assert apart(edit_while_it_ends(f"http://127.0.0.1:{port}", process)) in ("finished", "told")
        before = time.monotonic()
        assert process.wait(BOUND) == 0, (tmp_path / "log").read_text()
        assert time.monotonic() - before < BOUND
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.browser
def test_a_page_whose_server_was_killed_comes_back_as_its_link_says(chrome: BrowserContext, tmp_path: Path) -> None:
    port = free_port()
    process = start(port, tmp_path / "log")
    page = chrome.new_page()
    try:
        page.set_default_timeout(60_000)
        page.goto(f"http://127.0.0.1:{port}/?text=A+dog+saw+a+cat&model=minilm&layer=2&head=7&query=2&key=5")
        page.wait_for_selector(".st-key-head_map .heatmaplayer image")
        box = page.get_by_role("textbox", name="Sentence")
        expect(box).to_have_value("A dog saw a cat", timeout=60_000)
        process.kill()
        process.wait()
        expect(box).to_be_disabled(timeout=60_000)
        page.evaluate(STATES)
        process = start(port, tmp_path / "log")
        expect(box).to_be_enabled(timeout=60_000)  # the page has found its new server by itself
        until(page, "window.states.includes('running') && window.states.at(-1) === 'notRunning'")
        expect(box).to_have_value("A dog saw a cat", timeout=60_000)
        box.fill("A dog saw a green bird")
        until(page, "document.location.search.includes('green')")
        assert "layer=2" in page.url and "head=7" in page.url and "model=minilm" in page.url
        expect(page.locator(".st-key-strip")).to_contain_text("green", timeout=60_000)
        assert page.locator(".stException").count() == 0
    finally:
        page.close()
        process.kill()
        process.wait()
