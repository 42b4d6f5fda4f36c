"""The forward passes on computing servers, asked over HTTP: `HEADLIGHT_ENGINE=ray`.

The app needs no Ray for this, and does not die with the cluster: a question is a request that may be asked again. A server
that dies with a question in hand costs a retry.
"""

from __future__ import annotations

import http.client
import json
import select
import time
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from jaxtyping import Float
from pydantic_settings import BaseSettings, SettingsConfigDict
from torch import Tensor

from headlight.core.decoding import Decoder
from headlight.core.errors import ComputeError, ConfigError, HeadlightError, InputError
from headlight.core.model import Model, Readable
from headlight.core.overload import Check, go_on
from headlight.core.serving.compute.wire import unpack, unpack_error, unpack_run
from headlight.core.settings import from_environment, must
from headlight.core.types import Run, Tokens

REFUSED = 422  # the status of an error of headlight.core.errors
_PATIENCE, _LONGEST, _LOOK, _MOST_IDLE = 20.0, 120.0, 0.05, 32
_SILENT = "the computing servers do not answer at the moment; nothing of yours is lost, so try again in a minute"


class Servers(BaseSettings):
    """Where the servers are, and how many seconds a question is asked again: HEADLIGHT_ENGINE_URL and _PATIENCE."""

    model_config = SettingsConfigDict(env_prefix="HEADLIGHT_ENGINE_")

    url: str = "http://127.0.0.1:8000"
    patience: Annotated[float, must("must be a number of seconds")] = _PATIENCE


class Served:
    """Computes on servers. url: where they are asked; patience: seconds in which a failed question is asked again."""

    here = False

    def __init__(self, url: str = "http://127.0.0.1:8000", patience: float = _PATIENCE) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigError(f"HEADLIGHT_ENGINE_URL ({url!r}) must be like http://127.0.0.1:8000")
        self._host, self._port, self._patience = parts.hostname, parts.port or 80, patience
        self._idle: deque[http.client.HTTPConnection] = deque(maxlen=_MOST_IDLE)

    @classmethod
    def from_environment(cls) -> Served:
        """From HEADLIGHT_ENGINE_URL and HEADLIGHT_ENGINE_PATIENCE (seconds); raises ConfigError for what cannot be."""
        told = from_environment(Servers)
        return cls(told.url, told.patience)

    def run(self, model: Readable, tokens: Tokens, layers: Sequence[int] | None, check: Check = go_on) -> Run:
        """As `core.run`; raises what it raises, and ComputeError where no server answers."""
        if not isinstance(model, Model):
            raise InputError(f"{model.title} is run by transformers and runs in the app's own process only")
        asked = {"model": model.name, "ids": tokens.ids, "layers": None if layers is None else list(layers)}
        return unpack_run(self.ask("/run", asked, check), model, tokens)

    def decoder(self, model: Readable, watch: bool) -> ServedDecoder:
        """A decoder whose caches are with a server."""
        return ServedDecoder(self, model, watch)

    def ask(self, path: str, asked: Any, check: Check = go_on) -> bytes:
        """One question's answer, asked again until `patience` is over; raises the servers' own errors, and ComputeError."""
        body, failures, end = json.dumps(asked).encode(), 0, time.monotonic() + self._patience
        while True:
            try:
                status, answer = self._once(path, body, check)
            except HeadlightError:
                raise
            except (OSError, http.client.HTTPException):
                status, answer = 0, b""
            if status == 200:
                return answer
            if status == REFUSED:
                raise unpack_error(answer)
            failures += 1
            if time.monotonic() > end:
                raise ComputeError(_SILENT)
            _wait(min(0.1 * (failures - 1), 1.0), check)  # the first time at once: it may be an old connection

    def _once(self, path: str, body: bytes, check: Check) -> tuple[int, bytes]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_LONGEST)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            self._listen(connection, check)
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()  # the server sees it, and stops
            raise
        self._idle.append(connection)
        return response.status, answer

    def _listen(self, connection: http.client.HTTPConnection, check: Check) -> None:
        end = time.monotonic() + _LONGEST
        while not select.select([connection.sock], [], [], _LOOK)[0]:
            check()
            if time.monotonic() > end:
                raise TimeoutError


class ServedDecoder:
    """A text's pieces so far, which any server can go on from; logits come back. Raises InputError as `Decoder` does."""

    here = False

    def __init__(self, served: Served, model: Readable, watch: bool = False) -> None:
        self.model = Decoder(model).model  # which refuses what cannot be continued
        self.weights: tuple[Tensor, ...] = ()
        self._served, self._watch, self._key = served, watch, uuid.uuid4().hex
        self._reads: list[list[int]] = []
        self._nbytes = 0

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return sum(map(len, self._reads))

    @property
    def nbytes(self) -> int:
        """Bytes that the server's caches held after the last token."""
        return self._nbytes

    @property
    def reserved_nbytes(self) -> int:
        """Bytes held in this process: the ids that were read."""
        return 8 * self.length

    def read(self, ids: list[int], check: Check = go_on) -> Float[Tensor, " vocab_size"]:
        """Reads some more tokens and returns the logits for the one to come; raises InputError beyond the context.

        check: called while it waits for the answer; what it raises leaves the text as it was.
        """
        if self.length + len(ids) > self.model.context:
            raise InputError(f"{self.model.title} reads {self.model.context:,} tokens at most")
        reads = [*self._reads, ids]
        asked = {"model": self.model.name, "key": self._key, "reads": reads, "watch": self._watch}
        meta, tensors = unpack(self._served.ask("/go-on", asked, check))
        self._reads, self._nbytes = reads, meta["nbytes"]
        self.weights = tuple(tensors[f"weights.{i}"] for i in range(meta["layers"]))
        return tensors["logits"]


def _wait(seconds: float, check: Check) -> None:
    end = time.monotonic() + seconds
    check()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK))
        check()
