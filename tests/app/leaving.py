"""Run by test_leaving.py in a process of its own: the real server, real websockets, and a model that stops where it is told.

Prints one JSON object: what was seen. The model is the sibling mha-rope with a gate in its third layer.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import sys
import threading
import urllib.request
import weakref
from collections.abc import Callable
from dataclasses import replace

import uvicorn
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from app import app
from headlight.core.serving import metrics
from headlight.viz import store
from headlight.viz.web.uploads import kept
from tests.browser import free_port

NAME, LAYER = "mha-rope", 2
PORT = free_port()


class Gate:
    """Stands in the model's layers: counts them, and in one layer of a marked text waits to be opened."""

    def __init__(self) -> None:
        self.layers: dict[int, int] = {}  # length of a text -> layers that it went through
        self.reached, self.open = threading.Event(), threading.Event()
        self.streams: list[weakref.ref[object]] = []
        self._model = store.engine().model(NAME)
        store.engine()._models[NAME] = replace(self._model, block=self._block)

    def _block(self, x, params, attend):  # type: ignore[no-untyped-def]
        length = len(x)
        self.layers[length] = self.layers.get(length, 0) + 1
        if length == 40 and self.layers[length] == LAYER:
            self.streams.append(weakref.ref(x))
            self.reached.set()
            self.open.wait()
        return self._model.block(x, params, attend)


async def visit() -> ClientConnection:
    """A new visitor's connection."""
    return await connect(
        f"ws://127.0.0.1:{PORT}/_stcore/stream", origin=Origin(f"http://127.0.0.1:{PORT}"),
        subprotocols=[Subprotocol("streamlit")], max_size=None, max_queue=None,
    )  # fmt: skip


async def ask(connection: ClientConnection, text: str) -> None:
    """Opens Explore on a text."""
    message = BackMsg()
    message.rerun_script.query_string = f"model={NAME}&text={text.replace(' ', '+')}"
    await connection.send(message.SerializeToString())


async def edit(connection: ClientConnection, box: ForwardMsg, text: str) -> None:
    """Types another text into the box."""
    message = BackMsg()
    widget = message.rerun_script.widget_states.widgets.add()
    widget.id, widget.string_value = box.delta.new_element.text_input.id, text
    await connection.send(message.SerializeToString())


async def told(connection: ClientConnection, wanted: Callable[[ForwardMsg], bool]) -> ForwardMsg:
    """The first message that is wanted."""
    async for raw in connection:
        message = ForwardMsg()
        message.ParseFromString(raw if isinstance(raw, bytes) else raw.encode())
        if wanted(message):
            return message
    raise ConnectionError("closed")


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


def says(words: str) -> Callable[[ForwardMsg], bool]:
    return lambda message: words in str(message.delta)


def finished(message: ForwardMsg) -> bool:
    return message.HasField("script_finished")


async def scene(gate: Gate) -> dict[str, object]:
    turns, seen = store.engine()._running, {}
    slow = "the" + " the" * 38  # 40 tokens with the one that opens every text
    one, two, three, four = [await visit() for _ in range(4)]
    await ask(one, slow)
    await until(gate.reached.is_set)
    await ask(two, "a dog and a cat")
    await told(two, says("1 ahead of you"))
    await ask(three, "a king and a queen")
    box = await told(three, lambda message: message.delta.new_element.text_input.id.endswith("-text"))
    await told(three, says("2 ahead of you"))
    seen["waiting"] = turns.waiting
    seen["waiting, counted"] = metrics.REGISTRY.get_sample_value("headlight_requests_waiting")
    await ask(four, "a cow")
    busy = await told(four, says("All 2 places in the queue are taken"))
    seen["busy"] = busy.delta.new_element.alert.body.replace("\\", "")
    seen["turned away, counted"] = metrics.REGISTRY.get_sample_value("headlight_turned_away_total", {"reason": "queue"})
    await told(four, says("Try again"))
    await told(four, finished)
    await edit(three, box, "a newer text of the third")
    await told(three, says("2 ahead of you"))
    seen["waiting after a newer request of one's own"] = turns.waiting
    await two.close()  # in the queue
    await told(three, says("1 ahead of you"))
    seen["waiting after one left the queue"] = turns.waiting
    await one.close()  # while his text is computed
    manager = sys.modules["streamlit.runtime"].get_instance()._session_mgr
    await until(lambda: manager.num_active_sessions() == 2)
    gate.open.set()
    await told(three, finished)
    await until(lambda: not turns.locked())
    seen["layers of the one who left"] = gate.layers[40]
    seen["layers of the one who stayed"] = gate.layers.get(seen_length("a newer text of the third"))
    seen["texts computed"] = len(gate.layers)
    gc.collect()
    seen["streams still held"] = sum(each() is not None for each in gate.streams)
    await ask(four, "a cow")
    await told(four, finished)
    seen["layers of the one who tried again"] = gate.layers.get(seen_length("a cow"))
    others = [await visit() for _ in range(2)]  # connected: they count, whether or not they have asked for a page
    five = await visit()
    await ask(five, "a hen")
    full = await told(five, lambda message: message.delta.new_element.HasField("alert"))
    seen["full"] = full.delta.new_element.alert.body
    for each in (three, *others):
        await each.close()
    await until(lambda: manager.num_active_sessions() == 2)
    await ask(five, "a hen")
    session = (await told(five, lambda message: message.HasField("new_session"))).new_session.initialize.session_id
    seen["let in"] = (await told(five, says("a hen"))).HasField("delta")
    seen["uploads"] = await asyncio.to_thread(uploads, session)
    seen["bytes kept"] = kept(session)
    for each in (four, five):
        await each.close()
    await until(lambda: manager.num_active_sessions() == 0)
    return seen


def uploads(session: str) -> list[int]:
    """The answers to three files of a visitor, the last of which is one too many, and to one that hides its length."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_stcore/health") as answer:
        token = answer.headers.get("Set-Cookie", "=").partition("=")[2].partition(";")[0]
    codes = [put(session, f"file-{number}", token, chunked=False) for number in range(3)]
    return [*codes, put(session, "file-3", token, chunked=True)]


def put(session: str, file: str, token: str, chunked: bool) -> int:
    body = b"--x\r\nContent-Disposition: form-data; name=a; filename=a.txt\r\n\r\n" + b"y" * 1000 + b"\r\n--x--\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    headers = {
        "Content-Type": "multipart/form-data; boundary=x",
        "Cookie": f"_streamlit_xsrf={token}",
        "X-Xsrftoken": token,
    }
    place = f"/_stcore/upload_file/{session}/{file}"
    connection.request("PUT", place, iter([body]) if chunked else body, headers, encode_chunked=chunked)
    return connection.getresponse().status


def seen_length(text: str) -> int:
    return len(store.engine().tokens(NAME, text))


async def main() -> None:
    server = uvicorn.Server(uvicorn.Config(app, port=PORT, log_level="error", ws="websockets"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        print(json.dumps(await scene(Gate())))
    finally:
        server.should_exit = True
        await serving


asyncio.run(main())
