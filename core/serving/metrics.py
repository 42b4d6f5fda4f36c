"""What the server does, counted and timed for Prometheus, and a line of JSON a request; never a visitor's text.

    with metrics.request("run", page="compare", model="minilm") as seen:
        result = ...
        seen.tokens = len(result.tokens)

The registry is this process's own (prometheus_client keeps such things a process, and so there is one here).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, start_http_server
from prometheus_client.process_collector import ProcessCollector

from headlight.core.errors import BusyError, ComputeError, ConfigError, HeadlightError, OutOfMemoryError, TooLongError

disable_created_metrics()  # a second series for each, which nobody reads
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # resident memory, seconds of CPU, open files

_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REQUESTS = Counter("headlight_requests", "Requests that ended", ["kind", "page", "model", "outcome"], registry=REGISTRY)
SECONDS = Histogram(
    "headlight_request_seconds", "From a request's beginning to its end", ["kind", "outcome"],
    buckets=_EDGES, registry=REGISTRY,
)  # fmt: skip
TOKENS = Counter("headlight_tokens", "Tokens that were read", ["kind", "model"], registry=REGISTRY)
RUNNING = Gauge("headlight_requests_running", "Requests under way", ["kind"], registry=REGISTRY)
OPEN = Gauge("headlight_pages_open", "Pages that visitors have open (websockets)", registry=REGISTRY)
WAITING = Gauge("headlight_requests_waiting", "Requests that wait for the device", registry=REGISTRY)
TURNED_AWAY = Counter("headlight_turned_away", "Requests that were not begun", ["reason"], registry=REGISTRY)

# What an operator may want to change something about; every other HeadlightError is "refused".
OVERLOADED: dict[type[HeadlightError], str] = {
    BusyError: "busy",
    TooLongError: "too_long",
    OutOfMemoryError: "no_memory",
    ComputeError: "unanswered",
}

log = logging.getLogger("headlight")


@dataclass
class Seen:
    """One request, while it runs. tokens: how many it read; outcome: "ok" unless it says or raises otherwise: "kept" (it was
    there already), "refused" (a HeadlightError), one of OVERLOADED, "left" (nobody waits for it any more), "failed". error: the
    class raised.
    """

    kind: str
    page: str
    model: str
    tokens: int = 0
    outcome: str = "ok"
    error: str = ""


@contextmanager
def request(kind: str, *, page: str = "", model: str = "", logged: bool = True) -> Iterator[Seen]:
    """Counts, times and logs what runs inside; an exception goes on to whoever called.

    kind: "page", "section", "run", "read", "advance" or another word of the code's own, never a visitor's; page: the page's
    short name; model: a name of the catalogue; logged: whether it has a line of its own, or is counted and timed alone.
    """
    seen, begun = Seen(kind, page, model), time.perf_counter()
    RUNNING.labels(kind).inc()
    try:
        yield seen
    except BaseException as error:
        seen.outcome, seen.error = _outcome(error), type(error).__name__
        raise
    finally:
        RUNNING.labels(kind).dec()
        _tell(seen, time.perf_counter() - begun, logged)


def _outcome(error: BaseException) -> str:
    # What Streamlit stops a script with, and what ends a process, is no Exception.
    if isinstance(error, HeadlightError):
        return OVERLOADED.get(type(error), "refused")
    return "failed" if isinstance(error, Exception) else "left"


def _tell(seen: Seen, seconds: float, logged: bool) -> None:
    REQUESTS.labels(seen.kind, seen.page, seen.model, seen.outcome).inc()
    SECONDS.labels(seen.kind, seen.outcome).observe(seconds)
    if seen.tokens and seen.outcome != "kept":
        TOKENS.labels(seen.kind, seen.model).inc(seen.tokens)
    if not logged:
        return
    told = {"kind": seen.kind, "page": seen.page, "model": seen.model, "tokens": seen.tokens,
            "ms": round(1000 * seconds, 1), "outcome": seen.outcome, "error": seen.error}  # fmt: skip
    log.info(
        "request",
        extra={"told": {name: value for name, value in told.items() if value != "" and (name, value) != ("tokens", 0)}},
    )


class JsonLines(logging.Formatter):
    """A record as one line of JSON. Of an exception it gives the class and the places in the code, not its message, which may
    quote a visitor's text."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "at": f"{at}.{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "from": record.name,
        }
        line |= {"what": record.getMessage()} | getattr(record, "told", {})
        if record.exc_info and record.exc_info[1] is not None:
            line |= {"error": type(record.exc_info[1]).__name__, "trace": _places(record.exc_info[1])}
        return json.dumps(line, ensure_ascii=False)


def _places(error: BaseException) -> list[str]:
    places, step = [], error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        places.append(f"{code.co_filename}:{step.tb_lineno} {code.co_name}")
        step = step.tb_next
    return places[-20:]


def log_lines() -> None:
    """From now on, what Headlight has to say goes to the standard error stream, a line of JSON each; once a process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("headlight")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    # The web framework's loggers have handlers of their own, whose tracebacks would quote messages.
    for name in [*logging.root.manager.loggerDict]:
        if name.partition(".")[0] in ("streamlit", "uvicorn"):
            for theirs in logging.getLogger(name).handlers:
                theirs.setFormatter(handler.formatter)


def serve(address: str) -> None:
    """Serves the numbers at http://HOST:PORT/metrics, a port of their own that visitors do not reach; "" for nowhere.

    Raises ConfigError for an address that is none, or one that is taken.
    """
    if not address:
        return
    found = re.fullmatch(r"(?:(?P<host>[\w.\-]+|\[[0-9a-fA-F:]+\]):)?(?P<port>\d{1,5})", address, re.ASCII)
    if not found or not 0 < int(found["port"]) < 65536:
        raise ConfigError(f"HEADLIGHT_METRICS ({address!r}) must be a port or HOST:PORT, as in 127.0.0.1:9464")
    try:
        start_http_server(int(found["port"]), (found["host"] or "127.0.0.1").strip("[]"), registry=REGISTRY)
    except OSError as error:
        raise ConfigError(f"HEADLIGHT_METRICS ({address!r}) cannot be listened on: {error.strerror}") from error
