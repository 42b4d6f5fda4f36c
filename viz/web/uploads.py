"""A bound on what visitors' uploaded files take in memory together; Streamlit bounds each file alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import exists, get_instance

from headlight.core.settings import Uploads

_PLACE = "/_stcore/upload_file/"


class UploadBounds:
    """ASGI middleware: refuses a file (413) with which its visitor, or all together, would keep more than they may.

    A file without its length is refused, too (411): what it would take is known only once it is there.
    """

    def __init__(self, app: ASGIApp, limits: Uploads) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or connection."""
        answer = self._refusal(scope) if scope["type"] == "http" and scope["method"] in ("PUT", "POST") else None
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        _, found, rest = str(scope["path"]).partition(_PLACE)
        if not found:
            return None
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit() or len(length) > 15:
            return PlainTextResponse("a file needs its length", 411)
        own, everyone = kept(rest.partition("/")[0])
        if own + int(length) > self._limits.visitor_bytes or everyone + int(length) > self._limits.all_bytes:
            return PlainTextResponse("there is no room for more files; take back one that was sent", 413)
        return None


def kept(session: str) -> tuple[int, int]:
    """Bytes of files kept for a session, and for all."""
    if not exists():
        return 0, 0
    files: Mapping[str, Mapping[str, Any]] = getattr(get_instance().uploaded_file_mgr, "file_storage", {})
    sizes = {name: sum(len(each.data) for each in list(own.values())) for name, own in list(files.items())}
    return sizes.get(session, 0), sum(sizes.values())
