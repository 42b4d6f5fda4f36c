"""Whatever visitors open, the server connects to nobody, starts nothing, unpickles nothing, and writes to its cache alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlencode

import pytest

from benchmarks.visitor import Visitor, apart
from headlight.viz.web.preview import TOLD
from tests.browser import server

WATCHING = Path(__file__).with_name("watching.py")
OUTSIDE = "https://outside.example/"
LINKS: list[tuple[str, dict[str, str]]] = [
    *((path, {}) for path in TOLD),
    ("", {"model": "smollm2", "text": "The capital of France is"}),
    *(("", {"model": name}) for name in ("org/name", f"{OUTSIDE}model", "/etc", "hf://org/name", "../assets/siblings")),
    ("", {"text": f"![a picture]({OUTSIDE}a.png) <img src={OUTSIDE}b.png> [a link]({OUTSIDE})"}),
    ("watch", {"text": "Once upon a time", "count": "3"}),
    ("cache", {"model": f"{OUTSIDE}config.json"}),
]


async def open_all(address: str) -> None:
    for path, link in LINKS:
        async with Visitor(address) as visitor:
            answer = await visitor.open(240, urlencode(link), path)
            assert answer.finished is not None


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """[what, about] of each event while every page was opened; the folder that may be written to is called CACHE."""
    place = tmp_path_factory.mktemp("inside")
    for name in ("site", "cache", "home"):
        (place / name).mkdir()
    shutil.copy(WATCHING, place / "site" / "sitecustomize.py")
    settings = {"PYTHONPATH": str(place / "site"), "WATCHED": str(place / "events"), "PYTHONDONTWRITEBYTECODE": "1"}
    folders = {"HOME": str(place / "home"), "HEADLIGHT_CACHE": str(place / "cache"), "TMPDIR": str(place / "cache")}
    with server(place / "log", **settings, **folders) as address:
        apart(open_all(address))
    assert list((place / "home").iterdir()) == []  # nor by code that is no Python
    told = (place / "events").read_text().replace(str(place / "cache"), "CACHE")
    return [line.split("\t", 1) for line in told.splitlines()]


def test_the_watch_sees_what_is_written(events: list[list[str]]) -> None:
    assert any(
        about.startswith("'CACHE/smollm2") for what, about in events if what in ("write", "os.mkdir", "os.rename")
    )


def test_no_visitor_makes_the_server_ask_anybody(events: list[list[str]]) -> None:
    asked = {about for what, about in events if what.startswith("socket.")}
    assert {about for about in asked if "127.0.0.1" not in about and "localhost" not in about} == set()


def test_nothing_is_started_and_nothing_unpickled(events: list[list[str]]) -> None:
    assert [
        line for line in events if line[0].startswith(("subprocess", "os.exec", "os.posix", "os.system", "pickle"))
    ] == []


def test_all_that_is_written_lies_in_the_cache_folder(events: list[list[str]]) -> None:
    places = {about for what, about in events if what in ("write", "os.mkdir", "os.rename", "os.link", "os.symlink")}
    assert {place for place in places if not place.startswith(("'CACHE", "b'CACHE", "'/dev/"))} == set()
