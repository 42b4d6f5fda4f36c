"""A real server and a real Chromium, for the browser tests and the benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# Beside another worker of pytest-xdist a server has a core to itself, not two that it would wait for.
THREADS = {"OMP_NUM_THREADS": "1"} if "PYTEST_XDIST_WORKER" in os.environ else {}


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def server(log: Path, path: str = "", **environment: str) -> Iterator[str]:
    """The app on a free port of the loopback, below `path` ("/lab"); yields its address once it answers."""
    port = free_port()
    command = [
        "streamlit", "run", "app.py", "--server.headless", "true",
        "--server.address", "127.0.0.1", "--server.port", str(port),
        "--server.baseUrlPath", path.strip("/"), "--", "--device", "cpu",
    ]  # fmt: skip
    with serving(command, f"http://127.0.0.1:{port}{path}", log, **environment) as url:
        yield url


@contextmanager
def serving(module: list[str], url: str, log: Path, **environment: str) -> Iterator[str]:
    """A module of ours with its arguments, run as a server; yields its address once it answers there."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={"MALLOC_ARENA_MAX": "2"} | THREADS | os.environ | environment,
        )
        try:
            _wait_until_healthy(f"{url}/_stcore/health", process, log)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
    raise RuntimeError(f"the server stopped: {log.read_text()}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium: HEADLIGHT_CHROMIUM, else the one on the PATH, else Playwright's own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_executable(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def profile(folder: Path) -> Iterator[BrowserContext]:
    """The same with a profile of its own on the disk, as people have one: a script is compiled once, not for every page, and
    a page costs half the time."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(folder, executable_path=_executable(), args=FLAGS)
        try:
            yield context
        finally:
            context.close()


def _executable() -> str | None:
    return os.environ.get("HEADLIGHT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
