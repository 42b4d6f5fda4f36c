"""What a shared link is shown as, and what the server answers to whom; without a browser."""

from __future__ import annotations

import html
import re
import urllib.error
import urllib.request
from http.client import HTTPResponse

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from headlight.core.errors import ConfigError
from headlight.viz.frame.main import LEARN
from headlight.viz.pages.table import PAGES
from headlight.viz.web.base_url import public_url
from headlight.viz.web.preview import PICTURE_SIZE, TOLD, page_html
from headlight.viz.web.routes import PREVIEW
from headlight.viz.web.security import framed_by, policy
from tests.viz.web.conftest import PUBLIC, Hosted

HEADERS = {
    "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Permissions-Policy", "Cross-Origin-Opener-Policy",
}  # fmt: skip


def get(url: str, **headers: str) -> HTTPResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=named), timeout=30)
    except urllib.error.HTTPError as error:
        return error  # an answer as any other


def tags(page: str) -> dict[str, str]:
    found = re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def test_every_page_has_words_for_its_preview_and_no_other_has():
    assert set(TOLD) == {row.path for row in (*PAGES, LEARN)}
    assert len({told.about for told in TOLD.values()}) == len(TOLD)
    assert all(len(told.about) < 200 for told in TOLD.values())


@pytest.mark.parametrize("path", TOLD)
def test_each_page_comes_with_its_own_title_and_absolute_addresses(address: str, path: str):
    page = get(f"{address}/{path}?layer=2", Host="heads.example.org", X_Forwarded_Proto="https").read().decode()
    found = tags(page)
    assert TOLD[path].title in found["og:title"] and f"<title>{html.escape(found['og:title'])}</title>" in page
    assert found["og:description"] == found["description"] == TOLD[path].about
    assert found["og:url"] == f"https://heads.example.org/{path}?layer=2"
    assert found["og:image"] == "https://heads.example.org/headlight/preview.png"
    assert "<title>Streamlit" not in page and "agent" not in page


def test_the_picture_of_the_preview_is_served_at_its_size(address: str):
    data = get(f"{address}/headlight/preview.png").read()
    assert data == PREVIEW.read_bytes() and data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == PICTURE_SIZE


@pytest.mark.parametrize("host", ['evil"><script>', "a b", "x/y", "user@host", ""])
def test_a_host_that_is_none_is_written_nowhere(address: str, host: str):
    found = tags(get(address, X_Forwarded_Host=host or "  ", Host='"<').read().decode())
    assert "og:url" not in found and "og:image" not in found


def test_a_link_never_becomes_markup():
    page = page_html("", "https://example.org", 'text="><script>alert(1)</script>')
    assert "<script>alert" not in page and tags(page)["og:url"].endswith('text="><script>alert(1)</script>')


def test_the_public_address_goes_before_what_was_asked_for(hosted: Hosted):
    found = tags(get(f"{hosted.address}/mla", X_Forwarded_Host="other.example").read().decode())
    assert found["og:url"] == f"{PUBLIC}/mla" and found["og:image"] == f"{PUBLIC}/headlight/preview.png"


@pytest.mark.parametrize("told", ["example.org", "ftp://example.org", "https://a b", "https://example.org/?x=1"])
def test_a_public_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, told: str):
    monkeypatch.setenv("HEADLIGHT_URL", told)
    with pytest.raises(ConfigError, match="must be an address as in https"):
        public_url()


def test_sites_that_may_frame_the_app_are_named_by_the_operator_alone(monkeypatch: pytest.MonkeyPatch):
    assert "frame-ancestors 'self'" in policy().split("; ")
    monkeypatch.setenv("HEADLIGHT_FRAMED_BY", "https://a.example https://*.b.example")
    assert "frame-ancestors 'self' https://a.example https://*.b.example" in policy().split("; ")
    monkeypatch.setenv("HEADLIGHT_FRAMED_BY", "https://a.example; script-src *")
    with pytest.raises(ConfigError, match="no site as in"):
        framed_by()


@pytest.mark.parametrize(
    "path", ["/", "/compare", "/nonsense", "/headlight/chart.js", "/headlight/none.js", "/_stcore/health", "/favicon.png",
             "/_stcore/agent/mcp", "/media/none.png", "/../etc/passwd"],
)  # fmt: skip
def test_every_answer_carries_the_headers(address: str, path: str):
    assert {name.lower() for name in get(address + path).headers} >= {name.lower() for name in HEADERS}


@pytest.mark.parametrize(
    "path",
    ["/_stcore/agent/openapi.json", "/_stcore/agent/interact", "/_stcore/agent/mcp", "/_stcore/agent", "/_stcore/agent/",
     "/_stcore/metrics", "/_stcore/metrics/", "//_stcore/metrics", "/%5fstcore/metrics", "/_stcore/agent//mcp"],
)  # fmt: skip
def test_no_api_to_drive_the_app_and_no_counters_for_visitors(address: str, hosted: Hosted, path: str):
    for base in (address, hosted.address):
        assert get(base + path).status == 404


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1.evil.example", "null"])
def test_pages_of_other_sites_cannot_open_a_session(address: str, origin: str):
    stream = address.replace("http", "ws") + "/_stcore/stream"
    with connect(stream, origin=address) as own:  # type: ignore[arg-type]
        assert own.response is not None and own.response.status_code == 101
    with pytest.raises(InvalidStatus) as refused, connect(stream, origin=origin):  # type: ignore[arg-type]
        pass
    assert refused.value.response.status_code == 403


def test_files_from_pages_of_other_sites_are_refused(address: str):
    request = urllib.request.Request(f"{address}/_stcore/upload_file/a/b", data=b"x", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 403
    assert (
        get(f"{address}/_stcore/health", Origin="https://evil.example").headers["Access-Control-Allow-Origin"] is None
    )


def test_our_scripts_and_pages_lie_below_the_apps_path(hosted: Hosted):
    root = hosted.address.removesuffix("/lab/headlight")
    for path in ("/headlight/chart.js", "/headlight/plotly.min.js", "/headlight/preview.png", "/compare", "/"):
        assert get(hosted.address + path).status == 200
    assert get(f"{root}/headlight/chart.js").status == 404


def test_the_numbers_are_on_a_port_of_their_own(hosted: Hosted):
    told = get(hosted.metrics).read().decode()
    assert "process_resident_memory_bytes" in told and "headlight_pages_open" in told
    assert get(f"{hosted.address}/metrics").read().decode().startswith("<!--")  # a page, as any unknown path


def test_answers_tell_no_traceback_and_no_place_on_the_disk(address: str):
    for path in ("/headlight/%00.js", "/%ff", "/_stcore/upload_file", "/media/..%2f..%2fapp.py", "/component/x/y"):
        body = get(address + path).read().decode(errors="replace")
        assert "Traceback" not in body and "site-packages" not in body and "import streamlit" not in body
