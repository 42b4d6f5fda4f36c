"""A clock that is set back and forth while something is measured, read or shown: only its own, steady one counts."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest, local_script_runner

from headlight.core.attention import MHA
from headlight.core.long.job import Job
from headlight.core.measured.decode_timing import Measurement, Timing
from headlight.core.measured.layers import TimedLayer
from headlight.core.positions import Position
from headlight.core.serving.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
YEAR = 365 * 86_400.0


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The clock on the wall jumps by years, to and fro, whenever somebody looks; how often that was."""
    real, jumps, looks = time.time, itertools.cycle((0.0, 3 * YEAR, -20 * YEAR, 70.0)), [0]

    def jump() -> float:
        looks[0] += 1
        return real() + next(jumps)

    monkeypatch.setattr(time, "time", jump)
    return looks


def test_a_measurement_neither_ends_early_nor_goes_on_for_ever(jumping):
    layer = TimedLayer("MHA", MHA(d_model=24, n_heads=3, head_dim=8, causal=True), Position())
    measurement = Measurement(Timing({"mha": layer}, [7, 13], 3))
    measurement.start()
    assert measurement.wait(60.0) and measurement.complete and not measurement.error
    assert all(0 <= s < 60 for row in measurement.timing.results for s in row.times.seconds)


def test_a_text_is_read_to_its_end(jumping):
    engine = Engine("cpu")
    job = Job(engine, "gqa-rope", engine.document("gqa-rope", "Once upon a time there was a king. " * 40)[0])
    job.wait_for("somebody")
    job.start()
    job.join(60.0)
    assert job.result is not None and not job.stopped and job.error is None


def test_a_page_is_drawn_and_drawn_again(jumping, monkeypatch):
    steady = SimpleNamespace(time=time.monotonic, sleep=time.sleep)  # the test's own patience is not what is tested
    monkeypatch.setattr(local_script_runner, "time", steady)
    app = AppTest.from_file(str(ROOT / "viz" / "frame" / "main.py"), default_timeout=120)
    for sentence in ("A dog saw a cat", "A cat saw a dog", "A dog saw a cat"):
        app.query_params["text"] = sentence
        app.run()
        assert not app.exception and not app.error
    assert jumping[0] > 0


def test_nothing_of_ours_asks_the_clock_on_the_wall_how_long_something_took():
    sources = [p for room in ("core", "viz") for p in (ROOT / room).rglob("*.py")]
    assert len(sources) > 150
    assert [p.name for p in sources if "time.time()" in p.read_text("utf-8")] == []
