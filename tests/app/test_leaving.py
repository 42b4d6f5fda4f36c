"""Visitors who wait, leave, come back and are too many: a real server, real websockets, every number by `leaving.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def seen() -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.app.leaving"], cwd=ROOT, capture_output=True, text=True, timeout=200,
        env=os.environ | {
            "HEADLIGHT_REQUESTS_WAITING": "2", "HEADLIGHT_SESSIONS_OPEN": "4", "HEADLIGHT_UPLOADS_VISITOR_BYTES": "2500",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_who_waits_reads_how_many_are_before_him(seen: dict[str, object]) -> None:
    assert seen["waiting, counted"] == 2 and seen["turned away, counted"] == 1
    assert seen["waiting"] == 2  # told only after both have read "1 before you" and "2 before you"


def test_one_too_many_reads_a_sentence_and_may_try_again(seen: dict[str, object]) -> None:
    assert str(seen["busy"]).startswith("2 requests are waiting already, which is all that may; try again in a moment.")
    assert seen["layers of the one who tried again"] == 4


def test_a_newer_request_takes_the_place_of_the_older_one(seen: dict[str, object]) -> None:
    assert seen["waiting after a newer request of one's own"] == 2
    assert seen["texts computed"] == 2  # not the one that was replaced, not the one whose visitor left the queue


def test_who_leaves_while_he_waits_gives_up_his_place(seen: dict[str, object]) -> None:
    assert seen["waiting after one left the queue"] == 1  # the next one has read "1 before you"


def test_who_leaves_while_his_text_is_computed_stops_it_at_the_next_layer_and_frees_its_memory(
    seen: dict[str, object],
) -> None:
    assert seen["layers of the one who left"] == 2
    assert seen["streams still held"] == 0
    assert seen["layers of the one who stayed"] == 4


def test_one_page_more_than_may_be_open_says_so_and_is_let_in_once_another_has_closed(seen: dict[str, object]) -> None:
    assert seen["full"] == "4 pages are open, all that this server allows. Try again in a minute."
    assert seen["let in"]


def test_a_visitors_files_are_bounded_together_whatever_the_browser_says(seen: dict[str, object]) -> None:
    assert seen["uploads"] == [204, 204, 413, 411]
    assert seen["bytes kept"] == [2000, 2000]
