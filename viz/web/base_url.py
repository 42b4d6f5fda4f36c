"""Where the app stands in the world: its path on this server, and the address that visitors know it by."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

import streamlit as st
from starlette.requests import Request

from headlight.core.errors import ConfigError

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.\-]*)|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)


def base_path() -> str:
    """The path below which the app is served: "" or "/lab/headlight", from server.baseUrlPath."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def public_url() -> str:
    """HEADLIGHT_URL, where an operator says how visitors reach the app, without a slash at its end; else "".

    Raises ConfigError for what is no http address.
    """
    told = os.environ.get("HEADLIGHT_URL", "").strip().rstrip("/")
    parts = urlsplit(told)
    if told and (
        parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.netloc) or parts.query or parts.fragment
    ):
        raise ConfigError(f"HEADLIGHT_URL ({told!r}) must be an address as in https://example.org/headlight")
    return told


def address_of(request: Request) -> str:
    """The app's own address as the visitor has it: HEADLIGHT_URL, else what the proxy forwarded, else what was asked for.

    "" where the host named is none: nothing of it is then written anywhere.
    """
    if told := public_url():
        return told
    host = _first(request, "x-forwarded-host") or request.headers.get("host", "")
    scheme = _first(request, "x-forwarded-proto") or request.url.scheme
    fits = _HOST.fullmatch(host) and scheme in ("http", "https")
    return f"{scheme}://{host}{base_path()}" if fits else ""


def _first(request: Request, header: str) -> str:
    return request.headers.get(header, "").partition(",")[0].strip()
