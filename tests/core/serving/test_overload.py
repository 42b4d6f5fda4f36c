"""Too long, gone, or without memory: a request ends between two layers with one sentence, and the next one works."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from headlight.core.errors import (
    BusyError,
    ConfigError,
    HeadlightError,
    OutOfMemoryError,
    OverloadError,
    TooLongError,
)
from headlight.core.overload import short_of_memory, with_room, within
from headlight.core.serving.engine import Engine, weight_bytes
from headlight.core.serving.turns import Caller
from headlight.core.settings import Caches, Models, Requests, Settings

TEXT = "Once upon a time there was a little dog."


class Gone(BaseException):
    """What a check raises for a visitor who has gone."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu", settings=Settings())


def layers_until(
    stop: int, engine: Engine, act: Callable[[], None]
) -> tuple[list[int], list[weakref.ref[torch.Tensor]]]:
    """Puts a block into the engine's sibling that counts its layers, and calls `act` in the one numbered `stop`."""
    model, seen, streams = engine.model("mha-rope"), [], []

    def block(x, params, attend):  # type: ignore[no-untyped-def]
        seen.append(len(seen))
        if len(seen) == stop:
            act()
        out = model.block(x, params, attend)
        streams.append(weakref.ref(out))
        return out

    engine._models["watched"] = replace(model, block=block)
    engine.rows["watched"] = engine.rows["mha-rope"]
    return seen, streams


def test_a_visitor_who_has_gone_is_stopped_before_the_next_layer_and_his_memory_is_free(engine: Engine) -> None:
    gone = []
    seen, streams = layers_until(2, engine, lambda: gone.append(True))

    def check() -> None:
        if gone:
            raise Gone

    try:
        engine.run("watched", TEXT, caller=Caller("a", check))
    except Gone as error:
        error.with_traceback(None)  # as the server drops it
    gc.collect()
    assert seen == [0, 1]
    assert len(streams) == 2 and all(each() is None for each in streams)
    assert not engine._running.locked()
    assert engine.run("mha-rope", TEXT).tokens


def test_what_takes_too_long_is_stopped_between_layers_with_one_sentence(engine: Engine, monkeypatch) -> None:
    clock = [0.0]
    seen, _ = layers_until(3, engine, lambda: clock.__setitem__(0, 31.0))
    monkeypatch.setattr(
        "headlight.core.serving.engine.within_seconds", lambda seconds, check: within(seconds, check, lambda: clock[0])
    )
    with pytest.raises(TooLongError, match=r"^this took longer than 30 s, which is the limit here, and was stopped$"):
        engine.run("watched", TEXT)
    assert seen == [0, 1, 2] and not engine._running.locked()


def test_waiting_does_not_count_as_computing() -> None:
    now = [0.0]
    check = within(5.0, lambda: None, lambda: now[0])
    now[0] = 5.0
    check()
    now[0] = 5.1
    with pytest.raises(TooLongError):
        check()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 40000000000 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)"),
    ],
)
def test_every_allocators_word_for_no_memory_is_understood(error: Exception) -> None:
    assert short_of_memory(error)
    let_go = []

    def work() -> None:
        raise error

    with pytest.raises(OutOfMemoryError, match="not enough memory for this") as caught:
        with_room(work, lambda: let_go.append(True))
    assert let_go == [True] and caught.value.__context__ is None


@pytest.mark.parametrize("error", [RuntimeError("shape '[2]' is invalid"), ValueError("out of memory"), BusyError("x")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        with_room(work, lambda: None)
    assert caught.value is error


def test_what_a_failed_computation_held_is_free_once_it_is_told(engine: Engine) -> None:
    held = []

    def work(check: Callable[[], None]) -> None:
        big = torch.zeros(1000)
        held.append(weakref.ref(big))
        torch.empty(2**60)  # more than any machine has: the allocator itself refuses

    with pytest.raises(OutOfMemoryError):
        engine.in_turn(work)
    assert held[0]() is None and not engine._running.locked()


def test_every_overload_may_be_tried_again_and_is_a_headlight_error() -> None:
    for kind in (BusyError, TooLongError, OutOfMemoryError):
        assert issubclass(kind, OverloadError) and issubclass(kind, HeadlightError)


LACKING = """
import resource, torch
from headlight.core.serving.engine import Engine
from headlight.core.errors import OutOfMemoryError
from headlight.core.settings import Settings, Text
torch.set_num_threads(1)
engine = Engine("cpu", settings=Settings(text=Text(max_tokens=8192, max_characters=10**6)))
engine.run("smollm2", "a dog")
dropped = []
engine.when_short(lambda: dropped.append(True))
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 96 * 2**20, resource.RLIM_INFINITY))
try:
    engine.run("smollm2", "the dog " * 2500)
except OutOfMemoryError as error:
    print(error)
print(len(dropped), engine._running.locked(), engine.run("smollm2", "a dog and a cat").hidden.shape[0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a bound on a process's memory")
def test_a_process_that_really_runs_out_of_memory_says_so_once_lives_and_answers_the_next() -> None:
    done = subprocess.run([sys.executable, "-c", LACKING], capture_output=True, text=True, timeout=250)
    told, then = done.stdout.splitlines()
    assert told.startswith("there was not enough memory for this")
    assert then == "1 False 5", done.stderr
    assert done.returncode == 0


def test_only_models_that_are_offered_can_be_had() -> None:
    narrow = Engine("cpu", settings=Settings(models=Models(offered=("mla-rope",))), own_models=["my/model"])
    assert list(narrow.rows) == ["mla-rope", "my/model"]
    with pytest.raises(KeyError, match="no model is called 'smollm2'"):
        narrow.run("smollm2", "a")
    with pytest.raises(
        ConfigError, match=r"^\[models\] offered names 'gpt-9', which is no model here; there are minilm"
    ):
        Engine("cpu", settings=Settings(models=Models(offered=("gpt-9",))))


def test_checkpoints_that_visitors_named_stay_within_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine("cpu", any_model=True, settings=Settings(models=Models(added_bytes=25_000_000)))
    sibling = engine.model("gqa-rope")
    assert 9_000_000 < weight_bytes(sibling) < 10_000_000
    known = "headlight.core.serving.engine.load_model"
    monkeypatch.setattr(known, lambda name, device, progress: replace(sibling, name=name))
    for name in ("a/1", "a/2", "a/3"):
        engine.add(name)
    assert [engine.loaded(name) for name in ("a/1", "a/2", "a/3", "gqa-rope")] == [False, True, True, True]
    assert {"a/1", "a/2", "a/3"} < set(engine.rows)


def test_a_run_says_about_what_the_layer_kept_with_it_takes(engine: Engine) -> None:
    for name in ("mha-rope", "mla-rope", "minilm"):
        run = engine.run(name, TEXT)
        trace = run.layers[0]
        made = sum(
            t.numel() * t.element_size() for t in (trace.scores, trace.weights, trace.mask, trace.heads, trace.out)
        )
        assert made <= run.trace_nbytes <= 2 * made
    assert Caches().runs > 0 and Requests().waiting_of_one == 1
