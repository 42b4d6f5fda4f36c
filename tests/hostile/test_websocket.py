"""What is no message, the wrong one, or far too much of one, sent to a live server: others go on, nothing grows."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import WebSocketException

from benchmarks.visitor import Visitor, apart
from tests.hostile import making
from tests.hostile.making import TIMES

MIB = 2**20
FIELDS = (
    "string_value",
    "bool_value",
    "int_value",
    "double_value",
    "json_value",
    "json_trigger_value",
    "trigger_value",
)


def message(rng: random.Random, widgets: list[str]) -> bytes:
    """A frame: bytes that are no message, a message of another time, or widgets that do not exist with values of any kind."""
    kind, out = rng.randrange(6), BackMsg()
    if kind == 0:
        return rng.randbytes(rng.randrange(200))
    if kind == 1:
        name = rng.choice(("clear_cache", "stop_script", "debug_shutdown_runtime", "debug_disconnect_websocket",
                           "app_heartbeat", "load_git_info", "set_run_on_save"))  # fmt: skip
        setattr(out, name, True)
    elif kind == 2:
        out.file_urls_request.request_id = "../.."
        out.file_urls_request.file_names.extend(["../../etc/passwd"] * 9)
    else:
        state = out.rerun_script
        state.query_string = "&".join(f"{name}={making.sendable(making.text(rng)[:99])}" for name in ("text", "model"))
        state.page_script_hash, state.page_name = (
            rng.choice(("", "0" * 32, "nowhere")),
            rng.choice(("", "cache", "../x")),
        )
        state.fragment_id = rng.choice(("", "", "nothing"))
        for _ in range(rng.randrange(4)):
            widget, field = state.widget_states.widgets.add(), rng.choice(FIELDS)
            widget.id = rng.choice([*widgets, "$$ID-0-text", "x"])
            words = making.sendable(making.text(rng)[:500])
            setattr(widget, field, {"bool_value": True, "trigger_value": True, "int_value": 2**62, "double_value": 1e308}.get(
                field, words))  # fmt: skip
    return out.SerializeToString()


async def attack(address: str, seed: int, count: int) -> None:
    """One hostile visitor after the other; each sends until the server hangs up."""
    rng, sent = random.Random(seed), 0
    while sent < count:
        with suppress(WebSocketException, OSError):
            async with Visitor(address) as visitor:
                if rng.random() < 0.7:
                    await visitor.open(60)
                while sent < count:
                    sent += 1
                    await visitor.send(message(rng, [visitor.widget]))
        sent += 1


async def decent(address: str, words: str) -> bytes:
    """What a visitor who means well gets."""
    async with Visitor(address) as visitor:
        await visitor.open(60)
        return (await visitor.edit(words, 60)).payload


def test_frames_of_all_kinds_stop_nobody_else_and_nothing_grows(address: str) -> None:
    server = next(p for p in psutil.Process().children() if "streamlit" in " ".join(p.cmdline()))
    apart(attack(address, 1, 150 * TIMES))
    assert b"river" in apart(decent(address, "The river was wide"))
    before = server.memory_info().rss
    apart(attack(address, 2, 150 * TIMES))
    assert b"bridge" in apart(decent(address, "The bridge was wide"))
    assert server.memory_info().rss - before < 100 * MIB


@pytest.mark.parametrize("size", [26 * 10**6, 300 * 10**6])
def test_a_frame_of_many_megabytes_ends_its_own_connection_only(address: str, size: int) -> None:
    async def send() -> bool:
        async with Visitor(address) as visitor:
            await visitor.open(60)
            with suppress(WebSocketException, OSError):
                await visitor.send(b"\x00" * size)
            try:
                while True:
                    await asyncio.wait_for(visitor.receive(), 60)
            except (WebSocketException, OSError):
                return True

    assert apart(send())
    assert b"valley" in apart(decent(address, "The valley was wide"))
