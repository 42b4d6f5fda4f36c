"""A text through a whole model: what a Run holds, and when it is computed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headlight import load_model, run
from headlight.core.attention import Attention
from headlight.core.examples import examples, locate
from headlight.core.model import Model
from headlight.core.registry import MODELS


@pytest.fixture(params=["minilm", "smollm2"])
def model(request) -> Model:
    return request.getfixturevalue(request.param)


def test_the_menu_tells_the_truth_about_each_model(model):
    row = MODELS[model.name]
    assert row.title == model.title
    assert row.installed
    assert f"{model.n_layers} layers" in row.about
    assert ("reads left to right" in row.about) == model.attention.causal


def test_a_run_holds_one_trace_a_layer_of_the_shapes_it_promises(model, sentence):
    result = run(model, sentence)
    seq, attention = len(result.tokens), model.attention
    assert list(result.layers) == list(range(model.n_layers))
    assert result.model == model.name
    assert result.hidden.shape == (seq, attention.d_model)
    for trace in result.layers.values():
        assert trace.q.shape == (attention.n_heads, seq, attention.head_dim)
        assert trace.k.shape == trace.v.shape == (attention.n_kv_heads, seq, attention.head_dim)
        assert trace.weights.shape == trace.scores.shape == (attention.n_heads, seq, seq)
        assert trace.out.shape == (seq, attention.d_model)


def test_each_row_of_a_trained_model_sums_to_one(model, sentence):
    for trace in run(model, sentence).layers.values():
        torch.testing.assert_close(trace.weights.sum(-1), torch.ones(trace.weights.shape[:2]))


def test_only_the_layers_asked_for_are_kept(model, sentence):
    result = run(model, sentence, layers=[4, 1])
    assert (list(result.layers), len(result.layers)) == ([4, 1], 2)
    assert list(run(model, sentence, layers=[]).layers) == []
    whole = run(model, sentence)
    assert torch.equal(result.layers[4].weights, whole.layers[4].weights)
    assert torch.equal(result.hidden, whole.hidden)
    assert result.nbytes * model.n_layers == whole.nbytes * 2


def test_whether_a_layer_was_traced_may_be_asked(minilm, sentence):
    layers = run(minilm, sentence, layers=[4]).layers
    assert 4 in layers
    assert 3 not in layers
    assert layers.get(3) is None


def test_weights_are_computed_only_when_asked_for_and_the_last_layers_are_kept(minilm, sentence, monkeypatch):
    traced, original = [], Attention.trace

    def counting(self, *args):
        traced.append(1)
        return original(self, *args)

    monkeypatch.setattr(Attention, "trace", counting)
    result = run(minilm, sentence)
    traced.clear()  # the shape checker of the tests looks at one item; tests/test_notebook.py runs without it
    _ = result.nbytes, len(result.layers), list(result.layers), result.layers.rows(2, slice(0, 3))
    assert traced == []
    assert result.layers[2] is result.layers[2]
    assert len(traced) == 1
    assert result.layers[3] is not result.layers[2]
    assert len(traced) == 3


def test_rows_of_a_layer_are_rows_of_its_weights(model, sentence):
    result = run(model, sentence, layers=[2])
    assert torch.allclose(result.layers.rows(2, slice(3, 6)), result.layers[2].weights[:, 3:6], atol=1e-7)


def test_a_run_knows_the_bytes_of_its_queries_keys_and_values_and_of_what_they_are_made_from(model, sentence):
    result, a = run(model, sentence), model.attention
    per_token = ((a.n_heads + 2 * a.n_kv_heads) * a.head_dim + a.d_model) * 4
    assert result.nbytes == model.n_layers * len(result.tokens) * per_token


def test_a_run_of_tokens_is_a_run_of_their_text(model, sentence):
    one, other = run(model, sentence), run(model, model.tokens(sentence))
    assert one.tokens == other.tokens
    assert torch.equal(one.hidden, other.hidden)


def test_smollm2_expects_a_plausible_next_word(smollm2):
    result = run(smollm2, "The capital of France is")
    assert smollm2.tokenizer.decode([int(result.logits[-1].argmax())]) == " Paris"
    assert result.logits.shape == (len(result.tokens), len(smollm2.embedding))


def test_an_encoder_has_no_logits(minilm, sentence):
    assert run(minilm, sentence, layers=[]).logits is None


def test_the_future_cannot_change_smollm2s_past():
    model = load_model("smollm2", "cpu", torch.float64)
    short, long = run(model, "The fox met the"), run(model, "The fox met the old river")
    kept = len(short.tokens)
    torch.testing.assert_close(long.hidden[:kept], short.hidden, rtol=0, atol=1e-9)


def test_the_order_of_words_matters_to_both_models(model):
    one, other = run(model, "fox river"), run(model, "river fox")
    assert not torch.allclose(one.hidden[-1], other.hidden[-1], atol=1e-3)


def test_minilm_without_its_positions_cannot_tell_order(minilm):
    blind = replace(minilm, position=replace(minilm.position, table=torch.zeros_like(minilm.position.table)))
    one, other = run(blind, "fox river"), run(blind, "river fox")
    torch.testing.assert_close(one.hidden[[0, 2, 1, 3]], other.hidden, rtol=0, atol=1e-4)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.title)
def test_every_example_shows_the_head_it_promises(example, model):
    result = run(model, example.text)
    spot = example.spots[model.name]
    query, key = locate(spot, result.tokens.pieces)
    pieces = [piece.strip().lower() for piece in result.tokens.pieces]
    assert (pieces[query], pieces[key]) == (spot.query, spot.key)
    row = result.layers[spot.layer].weights[spot.head, query]
    assert float(row[key]) > 0.2, f"{spot}: only {float(row[key]):.3f}"
