"""What our decoder holds equals the formula, tensor by tensor; steps are timed in turn, bounded, and can be stopped."""

from __future__ import annotations

import threading

import pytest
import torch

from headlight import load_model
from headlight.core.attention import GQA
from headlight.core.errors import ConfigError, InputError, UnknownNameError
from headlight.core.export.table import rows_to_csv
from headlight.core.measured.decode_timing import MOST_BYTES, Measurement, Timing, bytes_needed
from headlight.core.measured.held import cache_shape, growth, held
from headlight.core.measured.layers import SIZES, TimedLayer, filled, of_size, random_params, stepper
from headlight.core.model import Model
from headlight.core.registry import SIBLINGS
from headlight.core.serving.engine import Engine

THERE = [name for name, row in SIBLINGS.items() if row.installed]
SMALL = SIZES["sibling"]


@pytest.mark.parametrize("name", THERE)
def test_every_sibling_holds_what_the_formula_says_after_every_token(name: str) -> None:
    found = held(load_model(name, "cpu"), [3, 5, 7, 11, 13])
    assert found.held == found.computed and len(found.held) == 5
    assert found.held[-1] == sum(t.nbytes for t in found.tensors[-1]) * found.shape.n_layers


def test_smollm2_holds_46080_bytes_a_token(smollm2: Model) -> None:
    found = held(smollm2, [1, 2, 3])
    assert found.held == found.computed == (46_080, 92_160, 138_240)  # 30 layers x 2 x 3 heads x 64 x 4 bytes
    assert [(t.name, t.shape, t.dtype) for t in found.tensors[-1]] == [
        ("k", (3, 3, 64), "float32"),
        ("v", (3, 3, 64), "float32"),
    ]


@pytest.mark.skipif("mla-rope" not in THERE, reason="this sibling is not trained here")
def test_half_precision_holds_half() -> None:
    whole, half = (held(load_model("mla-rope", "cpu", dtype), [1, 2]) for dtype in (torch.float32, torch.bfloat16))
    assert half.held == half.computed == tuple(size // 2 for size in whole.held)
    assert {t.dtype for t in half.tensors[-1]} == {"bfloat16"}


@pytest.mark.skipif("gqa-rope" not in THERE, reason="this sibling is not trained here")
def test_it_is_measured_on_tensors_and_not_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    made = GQA.cached_elements_per_token
    monkeypatch.setattr(GQA, "project", _keeping_values_twice(GQA.project))
    found = held(load_model("gqa-rope", "cpu"), [1, 2])
    assert found.held == tuple(size * 3 // 2 for size in found.computed), "a waste is seen"
    assert made(load_model("gqa-rope", "cpu").attention) * 4 * 4 == found.computed[0]


def _keeping_values_twice(project):  # type: ignore[no-untyped-def]
    def wasteful(self, x, params, position, past):  # type: ignore[no-untyped-def]
        before = past.length
        p = project(self, x, params, position, past)
        past.length = before
        past.extend(k=p.k[:, before:], v=p.v[:, before:], v_again=p.v[:, before:])
        return p

    return wasteful


@pytest.mark.skipif("mha-rope" not in THERE, reason="this sibling is not trained here")
def test_what_is_reserved_doubles_when_it_is_full() -> None:
    found = held(load_model("mha-rope", "cpu"), [1] * 33)
    token = found.held[0]
    assert [size // token for size in found.reserved] == [8] * 8 + [16] * 8 + [32] * 16 + [64]


def test_nothing_to_read_and_an_encoder_are_refused(minilm: Model, smollm2: Model) -> None:
    with pytest.raises(InputError, match="nothing to read"):
        held(smollm2, [])
    with pytest.raises(InputError, match="cannot continue a text"):
        held(minilm, [1])
    with pytest.raises(ConfigError, match="has no formula here"):
        cache_shape(Foreign())


class Foreign:
    """Readable, but no model of ours."""

    name = title = "foreign"
    context = n_layers = n_heads = 1
    tokenizer, causal = None, True

    def read(self, tokens, layers, check=lambda: None):  # type: ignore[no-untyped-def]
        raise NotImplementedError


@pytest.mark.skipif("mqa-rope" not in THERE, reason="this sibling is not trained here")
def test_each_token_is_read_alone_and_others_get_their_turn_between() -> None:
    engine = Engine("cpu")
    states = []
    for _ in growth(engine.model("mqa-rope"), [1, 2, 3], engine.alone):
        states.append(engine._running.locked())
    assert states == [False] * 3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["mha", "gqa", "mqa", "expanded", "absorbed"])
def test_a_filled_cache_holds_what_its_layer_says(size: str, name: str) -> None:
    layer, generator = of_size(size)[name], torch.Generator().manual_seed(1)
    params = random_params(layer, torch.empty(0), generator)
    for length in (1, 37):
        cache = filled(layer, params, length, generator)
        assert cache.length == length and cache.nbytes == layer.kept(length)


def test_a_cache_longer_than_one_piece_is_filled_to_the_token() -> None:
    layer, generator = SMALL["mqa"], torch.Generator().manual_seed(1)
    cache = filled(layer, random_params(layer, torch.empty(0), generator), 2500, generator)
    assert cache.length == 2500 and bool((cache.tensors["k"] != 0).any(-1).all())


def test_a_step_leaves_its_cache_as_long_as_it_found_it_and_both_ways_of_mla_agree() -> None:
    outs = []
    for name in ("expanded", "absorbed"):
        generator = torch.Generator().manual_seed(7)
        layer = SMALL[name]
        params = random_params(layer, torch.empty(0, dtype=torch.float64), generator)
        cache = filled(layer, params, 11, generator)
        step = stepper(layer, params, cache, generator)
        first, again = step(), step()
        torch.testing.assert_close(first, again, rtol=0, atol=0)
        assert cache.length == 12
        outs.append(first)
    torch.testing.assert_close(*outs, rtol=1e-10, atol=1e-12)


def test_every_layer_is_timed_at_every_context() -> None:
    timing = Timing(SMALL, (8, 16), repeats=3)
    timing.run()
    assert [(row.name, row.context) for row in timing.results] == [(n, c) for c in (8, 16) for n in SMALL]
    assert (
        all(len(row.times.seconds) == 3 and min(row.times.seconds) > 0 for row in timing.results) and timing.done == 1
    )
    assert {row.nbytes for row in timing.results if row.name == "mha"} == {8 * 384 * 4, 16 * 384 * 4}


@pytest.mark.parametrize(
    ("contexts", "repeats", "message"),
    [
        ((), 3, "at least one layer and contexts"),
        ((0,), 3, "contexts of one token or more"),
        ((8,), 0, r"repeats \(0\) must be from 1 to 50"),
        ((8,), 10**9, r"repeats \(1000000000\)"),
        ((10**9,), 3, "a context of 1,000,000,000 tokens needs .* bytes; 1,073,741,824 are the limit"),
    ],
)
def test_too_much_is_refused(contexts: tuple[int, ...], repeats: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Timing(SMALL, contexts, repeats)


def test_what_a_measurement_needs_counts_the_keys_and_values_made_anew() -> None:
    layer: TimedLayer = SIZES["v2-lite"]["expanded"]
    assert layer.needed(1000) - layer.kept(1000) == 4 * 16 * 192 * 1000 * 4
    assert bytes_needed(SIZES["v2-lite"], 8192) < MOST_BYTES < bytes_needed(SIZES["v2-lite"], 16384)


def test_unknown_sizes_and_empty_caches_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="no layer sizes are called 'x'; there are sibling, v2-lite"):
        of_size("x")
    generator = torch.Generator()
    with pytest.raises(ConfigError, match=r"length \(0\)"):
        filled(SMALL["mqa"], random_params(SMALL["mqa"], torch.empty(0), generator), 0, generator)


def test_one_measurement_at_a_time_and_a_cancelled_one_makes_room() -> None:
    engine = Engine("cpu")
    with engine.alone():  # nothing can be measured while somebody else has the device
        first = engine.measure(Timing(SMALL, (8,), 50))
        with pytest.raises(InputError, match="another measurement is under way"):
            engine.measure(Timing(SMALL, (8,), 1))
        first.cancel()
    assert first.wait(60.0) and first.cancelled and not first.complete and first.timing.results == ()
    second = engine.measure(Timing(SMALL, (8,), 1))
    assert second.wait(60.0) and second.complete and len(second.timing.results) == len(SMALL)


def test_others_get_the_device_while_a_measurement_is_under_way() -> None:
    engine = Engine("cpu")
    got = threading.Event()
    measurement = engine.measure(Timing(SMALL, (8, 16, 32, 64), 50))

    def other() -> None:
        with engine.alone():
            got.set()

    visitor = threading.Thread(target=other)
    visitor.start()
    assert got.wait(60)
    measurement.cancel()
    visitor.join()
    assert measurement.wait(60.0)


def test_a_measurement_ends_at_its_limit_with_what_it_has() -> None:
    measurement = Measurement(Timing(SMALL, (8, 16), 3), limit=-1.0)
    measurement.start()
    assert measurement.wait(60.0) and not measurement.complete and measurement.timing.results == ()


def test_a_device_without_room_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("headlight.core.measured.decode_timing.filled", full)
    measurement = Engine("cpu").measure(Timing(SMALL, (8,), 1))
    assert measurement.wait(60.0) and measurement.error == "the device could not do it: CUDA out of memory"


def test_rows_become_a_sheet() -> None:
    assert rows_to_csv(["a", "b"], [["x,y", 1.5], ["z", 2]]) == 'a,b\n"x,y",1.5\nz,2\n'
