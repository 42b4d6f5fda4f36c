"""One server more, as a proxy would have it: below a path, known to the world by another address, its numbers on a port."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser import free_port, server

PUBLIC = "https://heads.example.org/see"


@dataclass
class Hosted:
    """address: where it answers; metrics: where its numbers are; log: what it has said so far."""

    address: str
    metrics: str
    log: Path


@pytest.fixture(scope="package")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """A running app below /lab/headlight."""
    log, port = tmp_path_factory.mktemp("hosted") / "log", free_port()
    with server(log, "/lab/headlight", HEADLIGHT_URL=PUBLIC, HEADLIGHT_METRICS=str(port)) as url:
        yield Hosted(url, f"http://127.0.0.1:{port}/metrics", log)
