"""The limits, going round the browser: what arrives is checked by the server, told in a sentence, and the page lives."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from headlight.core.decoding import Continuation
from headlight.core.errors import BusyError
from headlight.core.serving.bounded import Bounded
from headlight.core.serving.turns import APP
from headlight.core.settings import Exports, Settings, Text, Uploads
from headlight.viz import store
from headlight.viz.ui import state as address
from headlight.viz.ui.visitor import caller, visitor
from headlight.viz.web.uploads import UploadBounds

ROOT = Path(__file__).resolve().parents[2]
TEXT = "Once upon a time"


@pytest.fixture
def settings() -> Iterator[Settings]:
    """The engine's settings, put back afterwards."""
    engine = store.engine()
    before = engine.settings, engine.limits
    yield engine.settings
    engine.settings, engine.limits = before


def _script(path: str) -> None:
    from headlight.viz.pages.table import PAGES

    next(row for row in PAGES if row.path == path).draw()


def page(path: str, **link: str) -> AppTest:
    app = AppTest.from_function(_script, default_timeout=60, args=(path,))
    for name, value in link.items():
        app.query_params[name] = value
    return app.run()


def told(app: AppTest) -> str:
    return " ".join(each.value for each in (*app.warning, *app.error, *app.info)).replace("\\", "")


@pytest.mark.parametrize("path", ["", "compare", "watch", "mla", "surgery"])
def test_a_text_that_no_browser_would_send_is_refused_on_every_page(path: str) -> None:
    app = page(path, text="x" * 20_001)
    assert not app.exception
    assert "his text has 20,001 characters; 20,000 are the limit here" in told(app)


@pytest.mark.parametrize("path", ["", "watch"])
def test_the_longest_link_that_gets_through_is_cut_before_it_is_kept(path: str) -> None:
    app = page(path, text="x" * 500_000)  # Streamlit ignores a query of more than 524,288 characters
    assert not app.exception
    assert f"his text has {address.MOST_LINKED:,} characters" in told(app)
    assert len(app.session_state[f"{path or 'explore'}:view"].text) == address.MOST_LINKED


def test_a_value_longer_than_the_box_takes_is_refused_by_the_server_too() -> None:
    app = page("", text=TEXT, model="mha-rope")
    app.text_input(key="text").set_value("y" * 30_000).run()
    assert not app.exception
    assert "30,000 characters" in told(app) or len(app.text_input(key="text").value) <= 20_000


def test_more_tokens_than_the_operator_lets_are_refused(settings: Settings) -> None:
    store.engine().limits = replace(settings.text, max_tokens=5)
    app = page("", text="Once upon a time there was a little dog with one ear", model="mha-rope")
    assert not app.exception and "reads 5 at most here" in told(app)


def test_a_file_larger_than_may_be_taken_away_is_not_made(settings: Settings) -> None:
    store.engine().settings = replace(settings, exports=Exports(max_bytes=20_000))
    app = page("", text=TEXT, model="mha-rope")
    app.session_state["takeaway"] = True
    app.run()
    assert not app.exception
    left_out = [each.value for each in app.caption if "are the limit here" in each.value]
    assert any(each.startswith("Tensors of this layer (safetensors): about") for each in left_out)
    assert not any(each.startswith("Weights of this head (CSV)") for each in left_out)
    offered = {each.label for each in app.get("download_button")} if app.get("download_button") else set()
    assert not any("safetensors" in label for label in offered)


@pytest.mark.parametrize("path", ["", "mla", "surgery", "watch", "compare"])
def test_without_memory_a_page_says_so_once_and_the_next_request_works(path: str, monkeypatch) -> None:
    name = "mla-rope" if path in ("mla", "watch") else "mha-rope"

    def lacking(*args: object, **others: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")

    text = f"A page without memory {path}"
    link = {"text": text, "model": name} if path != "compare" else {"text": text, "models": "mha-rope,gqa-rope"}
    if path == "watch":
        link["count"] = "2"
    with monkeypatch.context() as patch:
        for room in ("engine", "compute.in_process"):
            patch.setattr(f"headlight.core.serving.{room}.run", lacking)
        patch.setattr("headlight.core.decoding.Decoder.read", lacking)
        app = page(path, **link)
    assert not app.exception
    assert "here was not enough memory for this" in told(app)
    again = [each for each in app.button if each.label == "Try again"]
    app = again[0].click().run()
    assert not app.exception and "not enough memory" not in told(app)


def test_where_too_many_wait_the_last_good_picture_stays_with_a_button_to_try_again(monkeypatch) -> None:
    app = page("", text=TEXT, model="mha-rope")
    assert not app.warning

    def busy(*args: object, **others: object) -> None:
        raise BusyError("all 64 places in the queue are taken; try again in a moment")

    with monkeypatch.context() as patch:
        patch.setattr(store.engine(), "in_turn", busy)
        app.text_input(key="text").set_value("Twice upon a time").run()
        assert not app.exception and len(app.warning) == 1
        assert "All 64 places in the queue are taken" in told(app) and "Below is the last sentence" in told(app)
        assert app.session_state["shown"].text == TEXT  # what is drawn below
    next(each for each in app.button if each.label == "Try again").click().run()
    assert not app.exception and not app.warning
    assert app.query_params["text"] in ("Twice upon a time", ["Twice upon a time"])


def test_where_too_many_wait_compare_keeps_one_text_in_all_its_models(monkeypatch) -> None:
    app = page("compare", text=TEXT, models="mha-rope,gqa-rope")
    before = [each.value for each in app.caption]

    def busy(*args: object, **others: object) -> None:
        raise BusyError("all 64 places in the queue are taken; try again in a moment")

    store.run("gqa-rope", "Thrice upon a time")  # one of the two could be shown, the other not
    with monkeypatch.context() as patch:
        patch.setattr(store.engine(), "in_turn", busy)
        app.text_input(key="compare_text").set_value("Thrice upon a time").run()
    assert not app.exception and "Below is the last sentence" in told(app)
    assert [each.value for each in app.caption] == before
    next(each for each in app.button if each.label == "Try again").click().run()
    assert not app.exception and not app.warning


def test_what_a_page_keeps_for_its_buttons_and_its_clock_is_not_the_run() -> None:
    runs = []
    for path, link in (("", {"model": "mha-rope"}), ("surgery", {"model": "mha-rope"})):
        app = page(path, text="A text that only this test reads", **link)
        app.session_state["takeaway" if not path else "surgery_takeaway"] = True
        app.run()
        assert not app.exception
        kept = store._runs()
        runs += [weakref.ref(run.layers) for (_, text), run in list(kept._values.items()) if "only this test" in text]
        kept.clear()
        gc.collect()
    assert runs and all(each() is None for each in runs)


def test_a_continuation_that_was_let_go_of_is_written_again_and_one_that_is_kept_counts_its_bytes(monkeypatch) -> None:
    small: Bounded[object, Continuation] = Bounded(10, lambda each: each.nbytes)
    large: Bounded[object, Continuation] = Bounded(10**8, lambda each: each.nbytes)
    said = {}
    for kept in (small, large):
        monkeypatch.setattr(store, "_continuations", lambda kept=kept: kept)
        app = page("watch", text=TEXT, model="mla-rope", count="3")
        app.button(key="watch_step").click().run()
        assert not app.exception
        said[id(kept)] = next(each.value for each in app.markdown if "blue-background" in each.value)
    assert said[id(small)] == said[id(large)] and not len(small)
    (continuation,) = large._values.values()
    held = sum(cache.nbytes for cache in continuation.decoder.caches)
    watched = sum(w.numel() * 4 for step in continuation.steps for w in step.weights)
    assert large.size >= held + watched > 0 and len(continuation.steps) == 4


def test_a_text_of_ones_own_is_kept_a_visitor_within_the_bytes_of_all(monkeypatch) -> None:
    kept: Bounded[object, object] = Bounded(4_000, store.text_bytes)  # type: ignore[arg-type]
    monkeypatch.setattr(store, "_documents", lambda: kept)
    visitors = iter(("a", "a", "b", "c", "a", "b", "c"))
    monkeypatch.setattr(store, "visitor", lambda: next(visitors))
    store.keep_own_text("x" * 400)
    assert store.own_text() == "x" * 400
    store.keep_own_text("y" * 400)
    store.keep_own_text("z" * 400)
    assert [store.own_text() for _ in "abc"] == [None, "y" * 400, "z" * 400]


def test_without_a_page_it_is_the_app_itself_that_asks() -> None:
    assert caller() is APP and visitor() == ""


async def _passed(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    await send({"type": "passed"})


@pytest.mark.parametrize(
    ("method", "path", "length", "answer"),
    [
        ("PUT", "/_stcore/upload_file/me/1", b"100", "passed"),
        ("PUT", "/_stcore/upload_file/me/1", b"101", 413),
        ("PUT", "/_stcore/upload_file/you/1", b"150", "passed"),
        ("PUT", "/_stcore/upload_file/you/1", b"151", 413),
        ("PUT", "/below/_stcore/upload_file/you/1", b"151", 413),
        ("PUT", "/_stcore/upload_file/you/1", b"", 411),
        ("PUT", "/_stcore/upload_file/you/1", b"-5", 411),
        ("PUT", "/_stcore/upload_file/you/1", b"9" * 40, 411),
        ("DELETE", "/_stcore/upload_file/you/1", b"", "passed"),
        ("GET", "/", b"", "passed"),
    ],
)
def test_files_are_bounded_a_visitor_and_all_together(method, path, length, answer, monkeypatch) -> None:
    monkeypatch.setattr("headlight.viz.web.uploads.kept", lambda session: (200 if session == "me" else 0, 350))
    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    bounds = UploadBounds(_passed, Uploads(visitor_bytes=300, all_bytes=500))
    scope = {"type": "http", "method": method, "path": path, "headers": [(b"content-length", length)] if length else []}
    with pytest.raises(StopIteration):
        bounds(scope, None, send).send(None)
    assert sent[0].get("status", sent[0]["type"]) == answer


def test_settings_that_cannot_be_stop_the_start_with_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true", "--server.port", "0"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, env=os.environ | {"HEADLIGHT_TEXT_MAX_TOKENS": "many"},
    )  # fmt: skip
    assert done.returncode != 0
    assert (
        "Headlight cannot start: HEADLIGHT_TEXT_MAX_TOKENS ('many') must be a whole number" in done.stdout + done.stderr
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert Text().max_tokens == 512
