"""`make cluster`: a local cluster of computing servers, and the app in front of it, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 180.0  # seconds for Ray and the replicas to start


def main() -> int:
    """What stands on the command line goes to streamlit; PORT of the servers: HEADLIGHT_CLUSTER_PORT."""
    port = os.environ.setdefault("HEADLIGHT_CLUSTER_PORT", "8000")
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    url = f"http://127.0.0.1:{port}"
    # Sessions of their own: Ctrl-C comes here alone, and they are ended in order.
    servers = _start([sys.executable, "-m", "headlight.core.serving.compute.ray_serve"], {})
    app = None
    try:
        if _ready(url, servers, over):
            front = [sys.executable, "-m", "streamlit", "run", "app.py", *sys.argv[1:]]
            app = _start(front, {"HEADLIGHT_ENGINE": "ray", "HEADLIGHT_ENGINE_URL": url})
            while not over.wait(0.5) and app.poll() is None and servers.poll() is None:
                pass
        return 0 if over.is_set() else 1
    finally:
        for process in (app, servers):
            _end(process)


def _start(command: list[str], extra: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | extra, start_new_session=True)


def _ready(url: str, servers: subprocess.Popen[bytes], over: threading.Event) -> bool:
    end = time.monotonic() + PATIENCE
    while servers.poll() is None and time.monotonic() < end and not over.wait(0.3):
        try:
            with urlopen(f"{url}/-/healthz", timeout=2) as answer:
                if answer.status == 200:
                    return True
        except OSError:
            continue
    return False


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its own session: what it started goes with it


if __name__ == "__main__":
    sys.exit(main())
