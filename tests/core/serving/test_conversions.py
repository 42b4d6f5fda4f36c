"""The conversions: converted once for all, measured behind the visitors' backs, bounded, and never stuck."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import torch

from headlight.core.errors import InputError
from headlight.core.serving import conversions as conversions
from headlight.core.serving.conversions import ConversionStore, Point
from headlight.core.serving.engine import Engine
from headlight.core.settings import Caches, Settings
from headlight.core.surgery import Decouple, JointSVD, MeanPooling, WeightedSVD
from headlight.core.surgery.held_out import Evaluation, held_out
from headlight.core.surgery.whole import convert_model

NAME = "mha-rope"


@pytest.fixture(scope="module")
def shop() -> ConversionStore:
    return ConversionStore(Engine("cpu"))


def measured(shop: ConversionStore, *points: Point) -> None:
    """Waits until all were measured (the test's own time limit ends it)."""
    shop.ask(points)
    while any(shop.result(point) is None for point in points):
        threading.Event().wait(0.02)


def test_what_is_measured_is_what_the_yardstick_says(shop):
    point = Point(NAME, MeanPooling(), 2)
    measured(shop, point)
    model = shop._engine.model(NAME)
    evaluation = Evaluation.of(model, held_out())
    expected = evaluation.value(convert_model(model, MeanPooling(), 2))
    assert shop.result(point).value == pytest.approx(expected, rel=1e-6)
    assert shop.result(point).own == pytest.approx(evaluation.own, rel=1e-6)
    assert shop.measure(NAME) == "perplexity"


def test_an_encoder_is_measured_by_its_sentences(shop):
    assert shop.measure("minilm") == "similarity"


def test_a_layer_is_prepared_once_and_cut_for_every_setting(shop):
    one, other = (shop.layer(NAME, WeightedSVD(), rank, 1) for rank in (20, 40))
    assert one.attention.kv_lora_rank == 20 and other.attention.kv_lora_rank == 40
    assert shop._prepare(NAME, WeightedSVD(), 1) is shop._prepare(NAME, WeightedSVD(), 1)
    assert not shop.ready(NAME, WeightedSVD())
    whole = shop.model(NAME, WeightedSVD(), 20)
    assert shop.ready(NAME, WeightedSVD())
    assert torch.equal(whole.layers[1]["kv_a_proj.weight"], one.params["kv_a_proj.weight"])


def test_conversions_with_other_fields_are_kept_apart(shop):
    high, low = (shop.layer(NAME, Decouple(8, choice), 30, 0).params["rope_dims"] for choice in ("high", "low"))
    assert not torch.equal(high, low)


def test_a_text_runs_through_the_converted_model_once(shop):
    first = shop.run(NAME, JointSVD(), 40, "Once upon a time")
    assert shop.run(NAME, JointSVD(), 40, "Once upon a time") is first
    assert shop.run(NAME, JointSVD(), 41, "Once upon a time") is not first
    assert first.layers[0].cache.nbytes == 40 * 4 * len(first.tokens)


def test_inputs_are_kept_for_a_text(shop):
    assert shop.inputs(NAME, "Once upon a time") is shop.inputs(NAME, "Once upon a time")


def test_a_failure_is_told_and_the_thread_goes_on(shop):
    bad, good = Point(NAME, JointSVD(), 0), Point(NAME, MeanPooling(), 3)
    measured(shop, bad, good)
    assert "the rank (0) must be from 1 to 192" in shop.result(bad).failure
    assert not shop.result(good).failure


def test_something_unforeseen_is_told_without_its_details(shop, monkeypatch):
    monkeypatch.setattr(shop, "_yardstick", lambda name: 1 / 0)
    point = Point("gqa-rope", MeanPooling(), 1)
    measured(shop, point)
    assert shop.result(point).failure == "it could not be measured (ZeroDivisionError)"


def test_what_is_asked_last_comes_first_and_the_queue_is_bounded(monkeypatch):
    idle = ConversionStore(Engine("cpu"))
    idle._thread = threading.current_thread()  # nobody works it off
    monkeypatch.setattr(conversions, "MOST_WAITING", 5)
    old = [Point(NAME, JointSVD(), rank) for rank in (1, 2, 3, 4)]
    idle.ask(old)
    idle.ask([Point(NAME, JointSVD(), 9), old[2], Point(NAME, JointSVD(), 9)])
    assert [point.setting for point in idle._waiting] == [9, 3, 1, 2, 4]
    idle.ask([Point(NAME, JointSVD(), 7)])
    assert [point.setting for point in idle._waiting] == [7, 9, 3, 1, 2]


def test_what_is_kept_stays_within_its_bytes():
    small = ConversionStore(Engine("cpu", settings=Settings(caches=Caches(prepared=300_000))))
    small.model("gqa-rope", JointSVD(), 20)  # 4 layers of 164 kB
    assert 0 < small._prepared.size <= 300_000 and len(small._prepared) == 1


def test_calibration_shows_how_far_it_is(monkeypatch):
    seen = []
    ConversionStore(Engine("cpu")).moments("gqa-none", lambda done, what: seen.append((done, what)))
    assert seen[-1] == (1.0, "reading the calibration text")
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_model_without_heads_is_refused(shop):
    with pytest.raises(InputError, match="keeps a latent and a rotated key already"):
        shop.layer("mla-rope", MeanPooling(), 1, 0)
    with pytest.raises(InputError, match=r"the rank \(500\) must be from 1 to 192"):
        shop.layer(NAME, JointSVD(), 500, 0)


ENDING = """
from headlight.core.serving.engine import Engine
from headlight.core.surgery import JointSVD
from headlight.core.serving.conversions import Point, ConversionStore
shop = ConversionStore(Engine("cpu"))
shop.ask([Point("mha-rope", JointSVD(), rank) for rank in range(1, 190)])
while shop.result(Point("mha-rope", JointSVD(), 1)) is None:
    shop._thread.join(0.02)
print("left", len(shop._waiting) > 100)
"""


def test_a_process_ends_in_good_order_while_something_is_measured():
    ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=200)
    assert (ended.returncode, ended.stdout) == (0, "left True\n"), ended.stderr
