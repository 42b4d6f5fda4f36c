"""The HTML that a browser gets first: Streamlit's own, with each page's title and what a shared link is shown as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache  # noqa: TID251
from html import escape
from pathlib import Path

import streamlit
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from headlight.viz.web.base_url import address_of, base_path

PICTURE = "headlight/preview.png"
PICTURE_SIZE = 1200, 630  # what most places that show previews ask for


@dataclass(frozen=True)
class Told:
    """What a page is called, and what it is about in a sentence, for those who have not opened it yet."""

    title: str
    about: str


# Page's path -> what a link to it is shown as. A sentence in the link is its visitor's, and is not shown.
TOLD: Mapping[str, Told] = {
    "": Told(
        "Headlight", "See what each attention head of a real, trained transformer looks at in a sentence you type."
    ),
    "learn": Told(
        "Learn attention", "Query, key and value, the KV cache, GQA and MLA, in nine steps with live figures."
    ),
    "compare": Told("Compare attention", "Two to four models on one sentence, the best-matching heads side by side."),
    "watch": Told("Watch it think", "A sentence continued token by token, with the cache that it takes."),
    "positions": Told("Positions", "How learned, sinusoidal, RoPE and ALiBi encodings say where a token stands."),
    "cache": Told("KV cache", "What remembering costs: published models and yours, in bytes, measured and computed."),
    "mla": Told("Inside MLA", "Data flow through a trained multi-head latent attention layer, to scale."),
    "surgery": Told("Surgery", "What if a trained model cached less? Maps before and after, quality against bytes."),
    "long": Told("Long texts", "Exact attention maps of thousands of tokens, zoomed down to single words."),
    "quality": Told("Quality against cache", "What twelve small siblings can do, against what they keep."),
    "about": Told("About Headlight", "Its version, its models and their sources, its limits, and what is logged."),
}


@cache
def _streamlits() -> str:
    html = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    # The agent API that these speak of is not served.
    html = re.sub(r"<!--(?:(?!-->).)*agent API(?:(?!-->).)*-->", "", html, flags=re.DOTALL)
    html = re.sub(r'<link rel="service-desc"[^>]*>', "", html)
    need = "<noscript><p>Headlight needs JavaScript to draw its figures.</p></noscript>"
    return re.sub(r"<noscript>.*?</noscript>", need, html, flags=re.DOTALL)


def inline_scripts() -> list[str]:
    """The scripts that stand in the page itself; the content security policy names them by their hash."""
    return re.findall(r"<script>(.*?)</script>", _streamlits(), flags=re.DOTALL)


def page_html(path: str, app: str, query: str = "") -> str:
    """The page for a path of `TOLD`. app: the app's address, "" where it is not known; query: of the link, for og:url."""
    told = TOLD[path]
    title = told.title if told.title.endswith("Headlight") else f"{told.title} · Headlight"
    tags = {"og:type": "website", "og:site_name": "Headlight", "og:title": title, "og:description": told.about}
    if app:
        tags["og:url"] = f"{app}/{path}" + (f"?{query}" if query else "")
        tags |= {
            "og:image": f"{app}/{PICTURE}",
            "og:image:alt": "An attention map of one head, and the sentence it reads",
        }
        tags |= {"og:image:width": str(PICTURE_SIZE[0]), "og:image:height": str(PICTURE_SIZE[1])}
    lines = [f'<meta property="{name}" content="{escape(value)}" />' for name, value in tags.items()]
    lines.append(f'<meta name="description" content="{escape(told.about)}" />')
    lines.append(f'<meta name="twitter:card" content="{"summary_large_image" if app else "summary"}" />')
    head = f"<title>{escape(title)}</title>\n    " + "\n    ".join(lines)
    return _streamlits().replace("<title>Streamlit</title>", head, 1)


async def front(request: Request) -> Response:
    """The page that the address names."""
    path = request.url.path.removeprefix(base_path()).strip("/")
    html = page_html(path, address_of(request), request.url.query)
    return HTMLResponse(
        html, headers={"Cache-Control": "no-cache", "Vary": "X-Forwarded-Host, X-Forwarded-Proto, Host"}
    )
