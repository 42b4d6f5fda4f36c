"""A visitor without a browser: Streamlit's protocol over a real websocket, as its browser part speaks it.

First the cookie, then the websocket, then a rerun; after that the state of one widget, over and over. Messages that the
server may shorten to their hash are remembered as a browser does, so that the bytes are those of a browser.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

T = TypeVar("T")
KEPT_RUNS = 20  # global.maxCachedMessageAge of .streamlit/config.toml
XSRF = "_streamlit_xsrf"


class PageError(Exception):
    """The page told of an error, or its script did not come to its end."""


@dataclass
class Answer:
    """What came of one rerun. picture, finished: seconds (time.perf_counter), None where it did not come."""

    picture: float | None = None
    finished: float | None = None
    payload: bytes = b""
    alerts: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)


class Visitor:
    """One session. chart: the key of the component whose data is the picture; text: the key of the text box."""

    def __init__(self, address: str, chart: str = "head_map", text: str = "text") -> None:
        self.address, self.chart, self.text = address, f"-{chart}", f"-{text}"
        self.received = self.sent = 0
        self._ws: ClientConnection | None = None
        self.widget = self._query = self._page = ""
        self._kept: dict[str, int] = {}
        self._pictures: dict[str, bytes] = {}
        self._run = 0

    async def __aenter__(self) -> Visitor:
        host = urlsplit(self.address).netloc
        token = await asyncio.to_thread(xsrf_token, self.address)
        headers = {"Cookie": f"{XSRF}={token}"} if token else {}
        # A browser's second and third subprotocols are the token and the session to go on with.
        protocols = [Subprotocol(name) for name in ("streamlit", token or "none")]
        self._ws = await connect(
            f"ws://{host}/_stcore/stream", origin=self.address, subprotocols=protocols,  # type: ignore[arg-type]
            additional_headers=headers, max_size=None, open_timeout=60,
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ws is not None:
            await self._ws.close()

    async def open(self, timeout: float = 60, query: str = "", page: str = "") -> Answer:
        """The first rerun."""
        self._query, message = query, BackMsg()
        message.rerun_script.query_string = query
        message.rerun_script.page_name = page
        return await self.ask(message, timeout)

    async def edit(self, text: str, timeout: float = 60) -> Answer:
        """The sentence changed to `text`."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash = self._query, self._page
        widget = state.widget_states.widgets.add()
        widget.id, widget.string_value = self.widget, text
        return await self.ask(message, timeout)

    async def ask(self, message: BackMsg, timeout: float) -> Answer:
        """Sends a message and waits for the script's end; raises PageError or TimeoutError."""
        self._run += 1
        self._kept = {hash_: run for hash_, run in self._kept.items() if self._run - run <= KEPT_RUNS}
        self._pictures = {hash_: data for hash_, data in self._pictures.items() if hash_ in self._kept}
        message.rerun_script.cached_message_hashes.extend(self._kept)
        message.rerun_script.context_info.url = self.address
        await self.send(message.SerializeToString())
        answer = Answer()
        async with asyncio.timeout(timeout):
            while answer.finished is None:
                self._take(await self.receive(), answer)
        if answer.exceptions:
            raise PageError(answer.exceptions[0])
        return answer

    async def send(self, data: bytes) -> None:
        """One frame, whatever is in it."""
        assert self._ws is not None
        self.sent += len(data)
        await self._ws.send(data)

    async def receive(self) -> ForwardMsg:
        """The next message."""
        assert self._ws is not None
        data = await self._ws.recv()
        self.received += len(data)
        return ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())

    def _take(self, message: ForwardMsg, answer: Answer) -> None:
        kind = message.WhichOneof("type")
        if message.metadata.cacheable:
            self._kept[message.hash] = self._run
        if kind == "ref_hash":
            self._kept[message.ref_hash] = self._run
            self._picture(self._pictures.get(message.ref_hash), answer)
        elif kind == "new_session":
            self._page = message.new_session.page_script_hash
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._element(message, answer)
        elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            answer.finished = time.perf_counter()
        elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            raise PageError("the script did not compile")

    def _element(self, message: ForwardMsg, answer: Answer) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            answer.exceptions.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "alert":
            answer.alerts.append(element.alert.body)
        elif kind == "text_input" and element.text_input.id.endswith(self.text):
            self.widget = element.text_input.id
        elif kind == "bidi_component" and element.bidi_component.id.endswith(self.chart):
            if message.metadata.cacheable:
                self._pictures[message.hash] = element.bidi_component.bytes
            self._picture(element.bidi_component.bytes, answer)

    @staticmethod
    def _picture(payload: bytes | None, answer: Answer) -> None:
        if payload is not None:
            answer.picture, answer.payload = time.perf_counter(), payload


def apart(work: Coroutine[Any, Any, T]) -> T:
    """What the work gives, run in a thread of its own, since the caller's may have a loop already (Playwright's)."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def xsrf_token(address: str) -> str:
    """The cookie against forged requests that a browser gets with its first answers; "" if the server sets none."""
    for path in ("/_stcore/health", "/_stcore/host-config"):
        with urllib.request.urlopen(address + path, timeout=60) as reply:
            for cookie in reply.headers.get_all("Set-Cookie") or ():
                name, _, value = cookie.partition(";")[0].partition("=")
                if name == XSRF:
                    return value
    return ""
