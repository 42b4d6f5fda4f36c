"""What every answer says to the browser about what may run and load, and which of Streamlit's addresses are not answered."""

from __future__ import annotations

import base64
import hashlib
import os
import re

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headlight.core.errors import ConfigError
from headlight.core.serving import metrics
from headlight.viz.web.base_url import base_path
from headlight.viz.web.preview import inline_scripts

# An API to drive the app by program, and Streamlit's own counters, which walk through every session when they are asked for.
CLOSED = ("/_stcore/agent", "/_stcore/metrics")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.*\-]+(?::\d{1,5})?", re.ASCII)


def policy() -> str:
    """The content security policy: scripts, styles, pictures, fonts and connections of this server alone.

    Streamlit makes components' scripts from blobs and styles elements in place; Plotly does both for pictures that are
    taken away. No script in a page's markup runs but Streamlit's own, named by its hash, and none is made from text.
    WebAssembly, which cannot reach the page by itself, is how Streamlit reads the numbers in its messages.
    """
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in inline_scripts())
    parts = {
        "default-src": "'self'",
        "script-src": f"'self' 'wasm-unsafe-eval' blob: {hashes}",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
        "frame-src": "'none'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(["'self'", *framed_by()]),
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def framed_by() -> list[str]:
    """HEADLIGHT_FRAMED_BY: the sites that may show the app inside a page of theirs, with spaces between; nobody else may.

    Raises ConfigError for what is no origin.
    """
    sites = os.environ.get("HEADLIGHT_FRAMED_BY", "").split()
    for site in sites:
        if not _ORIGIN.fullmatch(site):
            raise ConfigError(f"HEADLIGHT_FRAMED_BY names {site!r}, which is no site as in https://example.org")
    return sites


class Safety:
    """ASGI middleware around all of the app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._base = app, base_path()
        self._headers = {
            "Content-Security-Policy": policy(),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # a link holds a visitor's sentence: no other site is told it
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
            "Cross-Origin-Opener-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one websocket."""
        if scope["type"] == "websocket":
            with metrics.OPEN.track_inprogress():
                await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._closed(scope["path"]):
            await PlainTextResponse("Not Found", 404, self._headers)(scope, receive, send)
        else:
            await self._app(scope, receive, self._with_headers(send))

    def _closed(self, path: str) -> bool:
        inside = re.sub("/{2,}", "/", path).removeprefix(self._base).rstrip("/")
        return any(inside == closed or inside.startswith(f"{closed}/") for closed in CLOSED)

    def _with_headers(self, send: Send) -> Send:
        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        return sender
