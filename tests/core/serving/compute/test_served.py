"""Which way computes follows from the environment; servers that do not answer are one sentence, and no wedge."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from streamlit.testing.v1 import AppTest

from headlight.core.errors import ComputeError, ConfigError, InputError, UnknownNameError
from headlight.core.serving.compute import COMPUTES, Compute, InProcess, Served, from_environment, wire
from headlight.core.serving.compute.ray_serve import Cluster
from headlight.core.serving.engine import Engine
from headlight.viz import store
from tests.browser import free_port


def test_the_environment_says_where_forward_passes_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADLIGHT_ENGINE", raising=False)
    assert isinstance(from_environment(), InProcess)
    for name in COMPUTES:
        monkeypatch.setenv("HEADLIGHT_ENGINE", name)
        assert isinstance(from_environment(), Compute)
    assert isinstance(from_environment(), Served)
    monkeypatch.setenv("HEADLIGHT_ENGINE", "dask")
    with pytest.raises(ConfigError, match=r"'dask'.*in-process, ray"):
        from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [("HEADLIGHT_ENGINE_URL", "ftp://x"), ("HEADLIGHT_ENGINE_URL", "x"), ("HEADLIGHT_ENGINE_PATIENCE", "long")],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        Served.from_environment()


def test_the_cluster_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_CLUSTER_GPUS", "0.5")
    monkeypatch.setenv("HEADLIGHT_CLUSTER_REPLICAS", "3")
    assert Cluster.from_environment().gpus == 0.5
    assert Cluster.from_environment().scaling == {"num_replicas": 3}
    monkeypatch.setenv("HEADLIGHT_CLUSTER_MAX_REPLICAS", "7")
    assert Cluster.from_environment().scaling["autoscaling_config"]["max_replicas"] == 7
    monkeypatch.setenv("HEADLIGHT_CLUSTER_REPLICAS", "two")
    with pytest.raises(ConfigError, match="HEADLIGHT_CLUSTER_REPLICAS"):
        Cluster.from_environment()


def test_without_a_server_the_page_says_so_and_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_ENGINE", "ray")
    monkeypatch.setenv("HEADLIGHT_ENGINE_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("HEADLIGHT_ENGINE_PATIENCE", "0.2")
    store.engine.clear()
    try:
        app = AppTest.from_function(_explore, default_timeout=60)
        app.query_params["text"], app.query_params["model"] = "nobody is there to read this", "mla-rope"
        app.run()
        assert not app.exception
        assert any("computing servers do not answer" in said.value for said in (*app.warning, *app.error))
        monkeypatch.setenv("HEADLIGHT_ENGINE", "in-process")
        store.engine.clear()
        app.run()
        assert not app.exception and not app.warning
    finally:
        store.engine.clear()


def _explore() -> None:
    from headlight.viz.pages.explore import page as explore

    explore.page()


class _Odd(BaseHTTPRequestHandler):
    """A server that fails in the ways of a proxy: /hang never answers, /flaky at the third time, /refuse says why."""

    seen: ClassVar[dict[str, int]] = {}
    let_go = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        times = self.seen[self.path] = self.seen.get(self.path, 0) + 1
        if self.path == "/hang":
            self.let_go.wait(30)
        status, body = 200, b"well"
        if self.path == "/flaky" and times < 3:
            status, body = 500, b"a replica died"
        if self.path == "/refuse":
            status, body = 422, wire.pack_error(UnknownNameError("no model is called 'x'"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def odd() -> Iterator[Served]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Odd)
    _Odd.seen.clear()
    _Odd.let_go.clear()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Served(f"http://127.0.0.1:{server.server_port}", patience=5.0)
    _Odd.let_go.set()
    server.shutdown()
    server.server_close()


def test_a_failed_question_is_asked_again_and_a_refused_one_is_not(odd: Served) -> None:
    assert odd.ask("/flaky", {}) == b"well" and _Odd.seen["/flaky"] == 3
    with pytest.raises(UnknownNameError, match="'x'"):
        odd.ask("/refuse", {})
    assert _Odd.seen["/refuse"] == 1


def test_a_question_that_nobody_waits_for_any_more_is_given_up(odd: Served) -> None:
    class Gone(Exception):
        """The visitor left."""

    looks: list[None] = []

    def check() -> None:
        looks.append(None)
        if len(looks) > 3:
            raise Gone

    with pytest.raises(Gone):
        odd.ask("/hang", {}, check)
    assert not odd._idle, "its connection is closed, which tells the server"


def test_an_encoder_cannot_be_continued_there_either() -> None:
    engine = Engine("cpu", compute=Served("http://127.0.0.1:9"))
    with pytest.raises(InputError, match="cannot continue a text"):
        engine.continuation("minilm", "Once upon a time")


def test_checkpoints_of_ones_own_stay_in_the_process() -> None:
    engine = Engine("cpu", compute=Served("http://127.0.0.1:9", patience=0.0), own_models=["here/own"])
    assert isinstance(engine._compute("here/own"), InProcess) and isinstance(engine._compute("minilm"), Served)
    with pytest.raises(ComputeError):
        engine.run("mla-rope", "nobody listens there")
