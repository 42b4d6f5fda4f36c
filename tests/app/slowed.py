"""The app on a port, one of whose answers stops on the way until it is let go: `python -m tests.app.slowed PORT CONTROL`.

An answer is one run of the page; it goes to the browser in messages. At the address CONTROL, /hold/5 makes the next answer
stop before its 5th message, as a long computation would that nothing can interrupt; /held answers once it has; /go lets it go
on; /count tells how many messages the last answer had.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

MOST = 30.0  # seconds: longer, and the test has forgotten it


class Gate:
    """Counts the messages of each answer, and stops one before the message that it was told."""

    def __init__(self) -> None:
        self.count, self.at = 0, 0
        self.held, self.open = threading.Event(), threading.Event()

    def hold(self, at: int) -> None:
        """For the next answer."""
        self.held.clear()
        self.open.clear()
        self.at = at

    def begin(self, answer: Any) -> None:
        """An answer begins: the one that was waited for, or one that is let through."""
        answer.messages, answer.stops, self.at = 0, self.at, 0

    def message(self, answer: Any) -> None:
        """An answer is about to send a message."""
        answer.messages = self.count = getattr(answer, "messages", 0) + 1
        if answer.messages == getattr(answer, "stops", 0):
            self.held.set()
            self.open.wait(MOST)


GATE = Gate()


class Control(BaseHTTPRequestHandler):
    """What the test says and asks."""

    def do_GET(self) -> None:
        word, _, number = self.path.strip("/").partition("/")
        if word == "hold":
            GATE.hold(int(number))
        elif word == "held":
            GATE.held.wait(MOST)
        elif word == "go":
            GATE.open.set()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(GATE.count).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


def stop_where_told() -> None:
    """Puts the gate into every answer."""
    reset, enqueue = ScriptRunContext.reset, ScriptRunContext.enqueue

    def begin(self: ScriptRunContext, *args: Any, **more: Any) -> None:
        reset(self, *args, **more)
        GATE.begin(self)

    def send(self: ScriptRunContext, message: Any) -> None:
        GATE.message(self)
        enqueue(self, message)

    ScriptRunContext.reset, ScriptRunContext.enqueue = begin, send  # type: ignore[method-assign]


if __name__ == "__main__":
    port, control = map(int, sys.argv[1:])
    stop_where_told()
    threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", control), Control).serve_forever, daemon=True).start()
    from app import app

    uvicorn.run(app, port=port, log_level="error", ws="websockets")
