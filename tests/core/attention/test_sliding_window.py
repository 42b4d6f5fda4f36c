"""A sliding window is a mask override, in every variant and on every path: traced, by rows, fused, decoding, absorbed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from headlight import run
from headlight.core.attention import GQA, MLA
from headlight.core.cache import DecodingCache, KVCache
from headlight.core.decoding import Decoder
from headlight.core.model import Model
from headlight.core.positions import ALiBi, Position, RoPE
from tests.core.attention.windows import windowed
from tests.core.variants import LENGTH, SIZES, Case, build, cases, on_random, random
from tests.threads import one_thread

W = 4
DISTANCE = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def through(case: Case, width: int = W) -> Case:
    """The same numbers, seen through a window."""
    return replace(case, attention=windowed(case.attention, width))


def agrees_on_every_path(seen: Case) -> None:
    whole, p = seen.attend(), seen.project()
    torch.testing.assert_close(seen.attention.rows(p, slice(3, 9)), whole.weights[:, 3:9], rtol=0, atol=1e-14)
    torch.testing.assert_close(seen.attention.fused(p, seen.params), whole.out, rtol=0, atol=1e-12)
    kept, buffers, end = KVCache(), DecodingCache(2), 0
    for size in (2, 1, 1, 6, 3):
        start, end = end, end + size
        x = seen.position.at_input(seen.x[start:end], torch.arange(start, end))
        trace = seen.attend(start, end, kept)
        step, kept = seen.attention.step(x, seen.params, seen.position, buffers), trace.cache
        torch.testing.assert_close(trace.weights, whole.weights[:, start:end, :end], rtol=0, atol=1e-12)
        torch.testing.assert_close(trace.out, whole.out[start:end], rtol=0, atol=1e-12)
        torch.testing.assert_close(step, whole.out[start:end], rtol=0, atol=1e-12)
    assert end == LENGTH


@cases(causal=(True,))
def test_exactly_the_tokens_in_the_window_are_seen(case: Case) -> None:
    trace, full = through(case).attend(), case.attend()
    assert torch.equal(trace.mask, DISTANCE.ge(0) & DISTANCE.lt(W))
    assert torch.equal(trace.weights > 0, trace.mask.expand_as(trace.weights))
    kept = full.weights * trace.mask
    torch.testing.assert_close(trace.weights, kept / kept.sum(-1, keepdim=True), rtol=0, atol=1e-13)


@cases(causal=(True,))
def test_every_path_and_decoding_past_the_window_look_through_it(case: Case) -> None:
    agrees_on_every_path(through(case))


@pytest.mark.parametrize("width", [1, 2, LENGTH - 1, LENGTH, LENGTH + 3])
@pytest.mark.parametrize("kind", [GQA, MLA])
def test_a_window_may_be_as_narrow_as_one_token_and_as_wide_as_the_text(kind: type, width: int) -> None:
    case = on_random(build(kind), RoPE(SIZES["qk_rope_head_dim"], layout="interleaved"))
    agrees_on_every_path(through(case, width))
    if width >= LENGTH:
        torch.testing.assert_close(through(case, width).attend().out, case.attend().out, rtol=0, atol=1e-13)


@pytest.mark.parametrize("position", [Position(), RoPE(6, layout="interleaved"), ALiBi()])
@pytest.mark.parametrize("width", [1, W, LENGTH])
def test_latent_space_is_seen_through_the_window_too(width: int, position: Position) -> None:
    seen = through(on_random(build(MLA), position), width)
    trace, p = seen.attend(), seen.project()
    weights, out = seen.attention.absorbed(p.q, p.cache, p.q_pos, p.position, seen.params)
    torch.testing.assert_close(weights, trace.weights, rtol=0, atol=1e-13)
    torch.testing.assert_close(out, trace.out, rtol=0, atol=1e-12)


@cases(causal=(True,))
def test_a_token_is_forgotten_once_the_window_has_passed_it(case: Case) -> None:
    seen, x, token = through(case), case.x.clone(), 3
    x[token] = random(seen.attention.d_model, seed=5)
    change = (replace(seen, x=x).attend().out - seen.attend().out).abs().amax(-1) > 1e-9
    assert change.tolist() == [token <= t < token + W for t in range(LENGTH)]


def test_an_encoders_window_may_look_ahead() -> None:
    seen = through(on_random(build(GQA, causal=False, bias=True)))
    trace, projections = seen.attend(), seen.project()
    assert torch.equal(trace.weights > 0, DISTANCE.lt(W).expand_as(trace.weights))
    torch.testing.assert_close(seen.attention.fused(projections, seen.params), trace.out, rtol=0, atol=1e-12)


def test_a_trained_model_decodes_through_a_window_what_it_would_have_read_at_once(smollm2: Model) -> None:
    shallow = replace(smollm2, layers=smollm2.layers[:3])
    model = replace(shallow, attention=windowed(shallow.attention, W))
    tokens = model.tokens("One two three four five six seven eight nine ten")
    whole, decoder = run(model, tokens), Decoder(model, capacity=3)
    for start, end in ((0, 4), (4, 5), (5, 6), (6, len(tokens))):
        logits = decoder.read(list(tokens.ids[start:end]))
    torch.testing.assert_close(logits, whole.logits[-1], rtol=1e-4, atol=1e-3)
    assert not torch.allclose(logits, run(shallow, tokens).logits[-1], rtol=1e-4, atol=1e-1)
    assert int((whole.layers[2].weights[0, -1] > 0).sum()) == W
