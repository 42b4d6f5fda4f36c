"""SIGTERM is how a host asks the app to go: it takes no new visitors, tells those who are there, and ends with 0."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from types import FrameType

import uvicorn

PATIENCE = 10  # seconds for requests under way


def leave_in_peace() -> None:
    """Sets this up; for the module that uvicorn loads the app from.

    uvicorn raises the signal once more when it is done, so that the process would end by it (-15) after all.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)

    def leave(number: int, frame: FrameType | None) -> None:
        atexit.register(_end)  # the last one registered is the first to run
        if isinstance(server, uvicorn.Server):
            server.config.timeout_graceful_shutdown = PATIENCE
            server.should_exit = True
        else:
            sys.exit(0)

    signal.signal(signal.SIGTERM, leave)


def _end() -> None:
    # A page that is still being drawn would otherwise meet torch half taken apart, and the process would abort (-6).
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
