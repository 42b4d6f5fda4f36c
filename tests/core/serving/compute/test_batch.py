"""Texts of one length through a model together are what they are one after another; and nothing is lost on the wire."""

from __future__ import annotations

import pytest
import torch

from headlight import load_model, run
from headlight.core.errors import ComputeError, InputError, UnknownNameError, UntracedLayerError
from headlight.core.model import Model
from headlight.core.serving.compute import wire
from headlight.core.serving.compute.batch import run_batch
from headlight.core.serving.compute.worker import Question, Worker
from headlight.core.types import Run, Tokens

# Three texts of the same number of tokens in every tokenizer here.
TEXTS = ("the cat sat on a mat", "the dog ran in a park", "the sun set on a hill")


def same_length(model: Model) -> list[Tokens]:
    found = [model.tokenizer.encode(text) for text in TEXTS]
    length = min(len(tokens) for tokens in found)
    return [Tokens(t.text, t.ids[:length], t.pieces[:length], t.spans[:length], t.special[:length]) for t in found]


def assert_same(one: Run, other: Run, tolerance: float) -> None:
    def close(a: torch.Tensor, b: torch.Tensor) -> bool:
        # Of sums of large products: rounding is in proportion to what is added, not to what is left.
        largest = float(a[a.isfinite()].abs().max().clamp(min=1.0))
        return torch.allclose(a, b, rtol=tolerance, atol=tolerance * largest)

    assert one.tokens == other.tokens and list(one.layers) == list(other.layers)
    assert close(one.hidden, other.hidden)
    for layer in one.layers:
        a, b = one.layers[layer], other.layers[layer]
        assert close(a.weights, b.weights) and close(a.out, b.out)
        assert [(s.name, s.formula, s.axes, s.inputs) for s in a.steps] == [
            (s.name, s.formula, s.axes, s.inputs) for s in b.steps
        ]
        assert all(close(s.value, t.value) for s, t in zip(a.steps, b.steps, strict=True))
        assert a.cache.tensors.keys() == b.cache.tensors.keys()


@pytest.mark.parametrize("name", ["minilm", "mha-sinusoidal", "gqa-rope", "mqa-none", "mla-rope"])
def test_a_batch_is_what_its_texts_are_alone(name: str) -> None:
    # In float64 the order of additions changes the sixteenth digit; ten of them must agree after all layers.
    model = load_model(name, "cpu", torch.float64)
    assert isinstance(model, Model)
    texts = same_length(model)
    for text, together in zip(texts, run_batch(model, texts, [0, 3]), strict=True):
        assert_same(run(model, text, [0, 3]), together, 1e-10)


@pytest.mark.parametrize("name", ["minilm", "smollm2", "mla-rope"])
def test_a_run_comes_over_the_wire_bit_for_bit(name: str) -> None:
    model = load_model(name, "cpu")
    assert isinstance(model, Model)
    sent = run(model, TEXTS[0], [1, 2])
    came = wire.unpack_run(wire.pack_run(sent), model, sent.tokens)
    assert torch.equal(sent.hidden, came.hidden)
    for layer in (1, 2):
        a, b = sent.layers.projections(layer), came.layers.projections(layer)
        assert all(torch.equal(getattr(a, x), getattr(b, x)) for x in ("q", "k", "v", "q_pos", "k_pos"))
    assert_same(sent, came, 1e-6)  # the trace is made here, from tensors laid out otherwise
    with pytest.raises(UntracedLayerError):
        came.layers[0]


def test_errors_come_over_the_wire_as_themselves() -> None:
    for error in (InputError("a text, ü"), UnknownNameError("no such"), ComputeError("gone")):
        came = wire.unpack_error(wire.pack_error(error))
        assert type(came) is type(error) and str(came) == str(error)
    for odd in (
        b"",
        b"[]",
        b"<html>",
        b'{"error": "SystemExit", "message": "no"}',
        b'{"error": "annotations", "message": "x"}',
    ):
        assert type(wire.unpack_error(odd)) is ComputeError
    with pytest.raises(ComputeError, match="nobody understands"):
        wire.unpack(b"<html>Bad gateway</html>")


def test_one_refused_text_costs_the_others_of_its_batch_nothing() -> None:
    worker, model = Worker("cpu"), load_model("mla-rope", "cpu")
    assert isinstance(model, Model)
    texts = same_length(model)
    good = [Question("mla-rope", text.ids, (0,)) for text in texts[:2]]
    bad = Question("mla-rope", (10**9,) * len(texts[0]), (0,))
    first, refused, second, unknown = worker.read([good[0], bad, good[1], Question("gpt-9", (1,))])
    assert isinstance(refused, InputError) and "reads one or more ids" in str(refused)
    assert isinstance(unknown, UnknownNameError) and "gpt-9" in str(unknown)
    for answer, text in ((first, texts[0]), (second, texts[1])):
        assert isinstance(answer, bytes)
        assert_same(run(model, text, [0]), wire.unpack_run(answer, model, text), 1e-6)


@pytest.mark.parametrize(
    "asked", [{}, [], None, {"model": "minilm", "ids": ["x"], "layers": None}, {"model": 1, "ids": 2}]
)
def test_what_is_no_question_is_refused(asked: object) -> None:
    with pytest.raises(InputError, match="a question names"):
        Question.of(asked)


def test_a_worker_goes_on_with_a_text_whose_decoder_it_has_lost() -> None:
    kept, lost = Worker("cpu"), Worker("cpu", decoders_bytes=0)
    reads: list[list[int]] = [[5, 7, 11]]
    for new in (13, 17, 19):
        answers = [wire.unpack(worker.go_on("mla-rope", "key", reads, True)) for worker in (kept, lost)]
        (one, a), (other, b) = answers
        assert one == other and all(torch.equal(a[name], b[name]) for name in a)
        reads = [*reads, [new]]
    assert not lost._decoders and len(kept._decoders) == 1
