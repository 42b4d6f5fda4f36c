"""A text read in parts gives what a plain run gives; it can be watched, shared, stopped, and fails in one sentence."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import torch

from headlight import load_model, run
from headlight.core.errors import ConfigError, InputError
from headlight.core.long import job as jobs
from headlight.core.long import reading as readings
from headlight.core.long.activation_store import ActivationStore
from headlight.core.long.job import Job
from headlight.core.long.reading import Reader, read
from headlight.core.model import Model
from headlight.core.registry import SIBLINGS
from headlight.core.serving.engine import Engine, Limits
from headlight.core.settings import read as read_settings

TEXT = "The old dog saw the young cat, and the cat saw the dog; then it rained all day long. " * 11
HERE = [name for name, row in SIBLINGS.items() if row.installed]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "CHUNK", 37)


@pytest.mark.parametrize("name", HERE)
def test_every_sibling_reads_in_parts_what_it_reads_at_once(name: str) -> None:
    same(load_model(name, "cpu", torch.float64))


def test_minilm_and_smollm2_do_too(minilm: Model, smollm2: Model) -> None:
    same(minilm, 1e-4)
    same(smollm2, 1e-3)  # float32, and numbers up to fifty


def same(model: Model, tolerance: float = 1e-9) -> None:
    tokens = model.tokenizer.encode(TEXT[:700])
    whole, parts = run(model, tokens), read(model, tokens)
    torch.testing.assert_close(parts.hidden, whole.hidden, rtol=0, atol=tolerance)
    for layer in (0, model.n_layers // 2, model.n_layers - 1):
        expected, found = whole.layers.projections(layer), parts.projections(layer)
        for t, e in ((found.q, expected.q), (found.k, expected.k), (found.v, expected.v)):
            torch.testing.assert_close(t, e, rtol=0, atol=tolerance)


def test_what_is_kept_is_one_row_of_the_stream_a_token_and_layer(smollm2: Model) -> None:
    reading = read(smollm2, smollm2.tokens("A king had three daughters."))
    assert reading.activations.nbytes == 30 * len(reading.tokens) * 576 * 4
    with pytest.raises(InputError, match="layer 30 does not exist: SmolLM2 has layers 0 to 29"):
        reading.projections(30)


def test_progress_grows_to_one_and_time_left_falls_to_none() -> None:
    model = load_model("gqa-rope", "cpu")
    reader = Reader(model, model.tokens(TEXT[:700]))
    assert (reader.done, reader.seconds_left, reader.finished) == (0, None, False)
    with pytest.raises(InputError, match="not read to its end"):
        _ = reader.reading
    seen = []
    while not reader.finished:
        reader.step()
        seen.append(reader.done)
    assert seen == sorted(seen) and seen[-1] == pytest.approx(1) and reader.seconds_left == pytest.approx(0, abs=1e-9)
    assert len(set(seen)) == model.n_layers * len(reader._chunks())
    reader.step()  # nothing more


def test_later_parts_of_a_layer_are_counted_as_more_work() -> None:
    model = load_model("gqa-rope", "cpu")
    reader = Reader(model, model.tokens(TEXT[:700]))
    assert reader._cost(74, 111) > reader._cost(0, 37)


def test_a_text_beyond_the_context_is_refused() -> None:
    model = load_model("gqa-rope", "cpu")
    tokens = model.tokenizer.encode(TEXT * 2)
    with pytest.raises(InputError, match=f"{len(tokens)} tokens; GQA · RoPE reads 256 at most"):
        Reader(model, tokens)


class Counting(Engine):
    """An engine whose model is there already, and which may be told what to do at each turn."""

    def __init__(self, at_turn=lambda: None) -> None:
        super().__init__("cpu")
        self.at_turn = at_turn

    def alone(self):
        self.at_turn()
        return super().alone()


def job(engine: Engine, clock=lambda: 0.0) -> Job:
    model = engine.model("gqa-rope")
    return Job(engine, "gqa-rope", model.tokens(TEXT[:700]), clock=clock)


def test_a_job_ends_with_the_reading() -> None:
    made = job(Engine("cpu"))
    made.wait_for("me")
    made.start()
    made.join(60.0)
    assert not made.running and made.error is None and not made.stopped
    assert made.result is not None and made.result.projections(1).k.shape[1] == len(made.result.tokens)


def test_giving_up_in_the_middle_stops_before_the_next_part() -> None:
    turns = []
    engine = Counting(lambda: turns.append(0) or (len(turns) == 3 and made.give_up("me")))
    made = job(engine)
    made.wait_for("me")
    made.start()
    made.join(60.0)
    assert made.stopped and not made.running and made.result is None and len(turns) == 3


def test_who_gives_up_does_not_stop_it_for_the_other_visitor() -> None:
    turns = []
    engine = Counting(lambda: turns.append(0) or (len(turns) == 3 and made.give_up("me")))
    made = job(engine)
    made.wait_for("me")
    made.wait_for("you")
    made.start()
    made.join(60.0)
    assert made.result is not None and not made.stopped


def test_a_visitor_who_no_longer_asks_is_taken_to_have_gone() -> None:
    now = [0.0]
    turns = []
    engine = Counting(lambda: turns.append(0) or (len(turns) == 4 and now.__setitem__(0, jobs.PATIENCE + 1)))
    made = job(engine, lambda: now[0])
    made.wait_for("me")
    made.start()
    made.join(60.0)
    assert made.stopped and len(turns) == 4


@pytest.mark.parametrize(
    ("error", "says"),
    [(InputError("there is no room on disk"), "there is no room on disk"), (MemoryError(), "reading failed")],
)
def test_what_goes_wrong_in_the_thread_is_one_sentence(error: Exception, says: str) -> None:
    def fail() -> None:
        raise error

    made = job(Counting(fail))
    made.wait_for("me")
    made.start()
    made.join(60.0)
    assert says in str(made.error) and not made.running and made.result is None


def test_short_work_is_done_between_the_parts_of_a_long_text() -> None:
    engine, order = Engine("cpu"), []
    engine.model("gqa-rope")
    made = job(engine)
    step = made._reader.step

    def noted() -> None:
        step()
        order.append("part")
        if len(order) == 2:
            other.start()
            while not engine._running.waiting:  # until the visitor queues behind this part
                pass

    made._reader.step = noted  # type: ignore[method-assign]
    other = threading.Thread(target=lambda: engine.run("gqa-rope", "a dog") and order.append("visitor"))
    made.wait_for("me")
    made.start()
    made.join(60.0)
    other.join(60)
    assert order.index("visitor") in (2, 3) and len(order) > 6


def test_a_shelf_gives_back_what_was_put_there_and_leaves_nothing_behind(tmp_path: Path) -> None:
    activations = ActivationStore(3, 11, 5, torch.bfloat16, tmp_path)
    x = torch.randn(11, 5).bfloat16()
    activations.write(1, 0, x[:4])
    activations.write(1, 4, x[4:])
    assert torch.equal(activations.read(1, torch.device("cpu")), x) and activations.nbytes == 3 * 11 * 5 * 2
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    activations = ActivationStore(1, 4, 2, torch.float32, tmp_path)
    monkeypatch.setattr(os, "pwrite", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InputError, match="no room on disk to keep this text"):
        activations.write(0, 0, torch.zeros(4, 2))
    with pytest.raises(InputError, match="cannot be kept"):
        ActivationStore(1, 4, 2, torch.float32, tmp_path / "nowhere")


def test_documents_are_cut_to_the_limits_and_told_so() -> None:
    engine = Engine("cpu", Limits(long_tokens=50, long_characters=400))
    tokens, notes = engine.document("gqa-rope", TEXT)
    assert len(tokens) <= 50 and TEXT.startswith(tokens.text)
    assert notes == [
        f"This text has {len(TEXT)} characters; only the first 400 were looked at.",
        f"This text has {len(engine.model('gqa-rope').tokenizer.encode(TEXT[:400]))} tokens; GQA · RoPE reads 50 here, so its "
        "beginning is shown.",
    ]
    assert engine.document("gqa-rope", "a dog")[1] == []
    with pytest.raises(InputError, match="nothing to read"):
        engine.document("gqa-rope", "")


def test_the_operator_sets_how_long_documents_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_LONG_TOKENS", "1234")
    assert read_settings().text.long_tokens == 1234
    monkeypatch.setenv("HEADLIGHT_LONG_TOKENS", "many")
    with pytest.raises(ConfigError, match=r"HEADLIGHT_LONG_TOKENS \('many'\) must be a whole number"):
        read_settings()
