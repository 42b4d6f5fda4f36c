"""A server that a test may end as it likes, and one visitor on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.browser import ROOT, _wait_until_healthy


def start(port: int, log: Path) -> subprocess.Popen[bytes]:
    """The app on that port, once it answers."""
    command = [
        sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true", "--server.address", "127.0.0.1",
        "--server.port", str(port), "--", "--device", "cpu",
    ]  # fmt: skip
    with log.open("a") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=dict(os.environ))
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}/_stcore/health", process, log)
    except BaseException:
        process.kill()
        raise
    return process
