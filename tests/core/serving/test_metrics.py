"""What is counted, timed and logged, and that no text is."""

from __future__ import annotations

import io
import json
import logging

import pytest
from prometheus_client import CollectorRegistry

from headlight.core.errors import BusyError, ComputeError, ConfigError, InputError, OutOfMemoryError, TooLongError
from headlight.core.serving import metrics
from headlight.core.serving.version import commit, version


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch):
    """The lines that are logged meanwhile."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(metrics.JsonLines())
    monkeypatch.setattr(metrics.log, "handlers", [handler])
    monkeypatch.setattr(metrics.log, "propagate", False)
    before = metrics.log.level
    metrics.log.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    metrics.log.setLevel(before)


def value(name: str, **labels: str) -> float:
    registry: CollectorRegistry = metrics.REGISTRY
    return registry.get_sample_value(name, labels) or 0.0


def test_a_request_is_counted_timed_and_logged_once(lines):
    labels = {"kind": "run", "page": "there", "model": "m", "outcome": "ok"}
    with metrics.request("run", page="there", model="m") as seen:
        assert value("headlight_requests_running", kind="run") == 1
        seen.tokens = 7
    assert value("headlight_requests_total", **labels) == 1
    assert value("headlight_tokens_total", kind="run", model="m") == 7
    assert value("headlight_requests_running", kind="run") == 0
    (line,) = lines()
    assert {"kind": "run", "page": "there", "model": "m", "tokens": 7, "outcome": "ok"}.items() <= line.items()
    assert line["ms"] >= 0 and line["at"].endswith("Z")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InputError("a text"), "refused"),
        (BusyError("a text"), "busy"),
        (TooLongError("a text"), "too_long"),
        (OutOfMemoryError("a text"), "no_memory"),
        (ComputeError("a text"), "unanswered"),
        (ValueError("a text"), "failed"),
        (GeneratorExit("x"), "left"),
    ],
)
def test_what_is_raised_goes_on_and_is_told_by_its_class_alone(lines, error, outcome):
    with pytest.raises(type(error)), metrics.request("run", page="raised", model="m"):
        raise error
    assert value("headlight_requests_total", kind="run", page="raised", model="m", outcome=outcome) == 1
    (line,) = lines()
    assert line["error"] == type(error).__name__ and line["outcome"] == outcome and "a text" not in json.dumps(line)


def test_a_result_that_was_there_adds_no_tokens(lines):
    with metrics.request("run", page="kept", model="k") as seen:
        seen.tokens, seen.outcome = 5, "kept"
    assert value("headlight_tokens_total", kind="run", model="k") == 0
    assert lines()[0]["outcome"] == "kept"


def test_steps_that_are_many_have_no_line_of_their_own(lines):
    with metrics.request("advance", logged=False):
        pass
    assert lines() == [] and value("headlight_request_seconds_count", kind="advance", outcome="ok") >= 1


def test_a_traceback_in_the_log_has_places_but_no_message(lines):
    try:
        raise KeyError("a visitor's sentence")
    except KeyError:
        metrics.log.exception("a page failed")
    (line,) = lines()
    assert line["error"] == "KeyError" and "test_metrics.py" in line["trace"][-1]
    assert "sentence" not in json.dumps(line)


@pytest.mark.parametrize("address", ["x:y", "0", "65536", "a b:9000", "http://h:1", "1:2:3"])
def test_an_address_for_the_numbers_that_is_none_is_refused(address):
    with pytest.raises(ConfigError, match="must be a port or HOST:PORT"):
        metrics.serve(address)


def test_the_version_is_one_and_the_commit_is_what_head_names(tmp_path, monkeypatch):
    monkeypatch.delenv("HEADLIGHT_COMMIT", raising=False)
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "VERSION").write_text("1.2.3\n")
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "packed-refs").write_text("# pack-refs\n" + "a" * 40 + " refs/heads/main\n")
    assert version(tmp_path) == "1.2.3" and commit(tmp_path) == "a" * 40
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text("b" * 40 + "\n")
    assert commit(tmp_path) == "b" * 40
    monkeypatch.setenv("HEADLIGHT_COMMIT", "0123abc")
    assert commit(tmp_path) == "0123abc"
    monkeypatch.setenv("HEADLIGHT_COMMIT", "<b>")
    assert commit(tmp_path) == "b" * 40
    assert commit(tmp_path / "nowhere") is None
