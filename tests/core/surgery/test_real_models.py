"""Trained models converted: what is exact is exact to 1e-5, they decode what they read, and what pays is measured."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from headlight import load_model, run
from headlight.core.attention import Decoupled, Latent
from headlight.core.decoding import Continuation, Decoder
from headlight.core.errors import InputError
from headlight.core.model import Model
from headlight.core.surgery import Conversion, Decouple, JointSVD, MeanPooling, Repetition, WeightedSVD
from headlight.core.surgery.calibration import inputs, second_moments
from headlight.core.surgery.held_out import Evaluation, calibration, embeddings, held_out, perplexity
from headlight.core.surgery.methods import METHODS, convertible, grid
from headlight.core.surgery.whole import convert_model, cut_model, distances, layer_of, weights_of
from tests.core.test_decoding import longer

_READABLE = ("name", "context", "tokenizer", "n_layers", "n_heads", "causal")
SENTENCE = "The animal didn't cross the street, because it was too tired."


def moments(model: Model) -> list[torch.Tensor]:
    return second_moments(model, calibration().passages[:6])


@pytest.mark.parametrize("conversion", [JointSVD(), WeightedSVD()], ids=lambda c: c.title)
def test_minilm_at_rank_384_keeps_half_of_its_768_numbers_and_loses_nothing(minilm, conversion):
    new = convert_model(minilm, conversion, 384, moments(minilm))
    assert minilm.attention.cached_elements_per_token() == 768 and new.attention.cached_elements_per_token() == 384
    assert conversion.exact(minilm.attention, minilm.position, 384)
    before, after = run(minilm, SENTENCE), run(new, SENTENCE)
    torch.testing.assert_close(after.hidden, before.hidden, rtol=0, atol=1e-5)
    for layer in range(minilm.n_layers):
        torch.testing.assert_close(
            after.layers[layer].weights, before.layers[layer].weights, rtol=0, atol=1e-5
        )  # fmt: skip


def test_smollm2_at_rank_384_is_its_own_cache_expanded_then_rotated_and_loses_nothing(smollm2):
    new = convert_model(smollm2, JointSVD(), 384)
    assert new.attention.cached_elements_per_token() == smollm2.attention.cached_elements_per_token() == 2 * 3 * 64
    before, after = run(smollm2, SENTENCE), run(new, SENTENCE)
    for layer in (0, 13, 29):
        torch.testing.assert_close(
            after.layers[layer].weights, before.layers[layer].weights, rtol=0, atol=1e-5
        )  # fmt: skip
    # Logits reach 30; float32 through 30 layers leaves 1e-5 of that.
    torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=3e-4)


@pytest.mark.parametrize("name", ["smollm2", "gqa-rope", "mqa-sinusoidal"])
def test_repetition_of_a_trained_model_changes_no_weight(name):
    model = load_model(name, "cpu")
    new = convert_model(model, Repetition(), model.n_heads)
    before, after = run(model, SENTENCE), run(new, SENTENCE)
    for layer in (0, model.n_layers - 1):
        torch.testing.assert_close(
            after.layers[layer].weights, before.layers[layer].weights, rtol=0, atol=1e-5
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "conversion", "setting", "kind"),
    [
        ("mha-rope", WeightedSVD(), 80, Latent), ("mha-rope", Decouple(rotary=8), 64, Decoupled),
        ("mha-sinusoidal", WeightedSVD(), 80, Latent), ("gqa-none", JointSVD(), 50, Latent),
        ("mha-rope", MeanPooling(), 2, None),
    ],
)  # fmt: skip
def test_a_converted_sibling_continues_a_text_as_reading_it_whole_would(name, conversion, setting, kind):
    model = load_model(name, "cpu")
    new = convert_model(model, conversion, setting, moments(model))
    assert kind is None or type(new.attention) is kind
    continuation = Continuation(new, "Once upon a time there was", watch=True)
    ids = [continuation.advance().id for _ in range(6)]
    whole = run(new, longer(continuation.prompt, ids))
    for number, step in enumerate(continuation.steps):
        place = len(continuation.prompt) - 1 + number
        assert int(whole.logits[place].argmax()) == step.id
        expected = whole.layers.rows(1, slice(place, place + 1))[:, 0, : place + 1]
        torch.testing.assert_close(step.weights[1], expected, rtol=0, atol=2e-5)
    decoder = continuation.decoder
    assert decoder.nbytes == new.attention.cached_elements_per_token() * 4 * new.n_layers * decoder.length


def test_a_latent_of_smollm2_decodes_from_its_latent_alone(smollm2):
    new = convert_model(smollm2, JointSVD(), 300)
    decoder, ids = Decoder(new), list(new.tokens(SENTENCE).ids)
    decoder.read(ids[:5])
    logits = [decoder.read([token]) for token in ids[5:]][-1]
    assert set(decoder.caches[0].tensors) == {"c_kv"}
    torch.testing.assert_close(logits, run(new, SENTENCE).logits[-1], rtol=0, atol=1e-3)


@pytest.mark.parametrize(("name", "ranks"), [("minilm", (64, 128, 192)), ("smollm2", (128, 192, 256))])
def test_weighting_by_activations_beats_the_plain_svd_at_three_ranks_on_held_out_text(name, ranks):
    model = load_model(name, "cpu")
    # A passage is enough for SmolLM2, whose perplexities differ by far more than by chance; the page measures all six.
    text = held_out() if name == "minilm" else replace(held_out(), passages=held_out().passages[1:2])
    seen, evaluation, found = moments(model), Evaluation.of(model, text), {}
    for conversion in (JointSVD(), WeightedSVD()):
        prepared = [conversion.prepare(layer_of(model, i, seen)) for i in range(model.n_layers)]
        found[conversion] = [evaluation.value(cut_model(model, prepared, rank)) for rank in ranks]
    for plain, weighted in zip(*found.values(), strict=True):
        assert weighted > plain if name == "minilm" else weighted < plain


def test_a_layer_alone_reads_what_it_read_and_only_its_own_weights_change(minilm):
    tokens = minilm.tokens(SENTENCE)
    read, result = inputs(minilm, tokens), run(minilm, tokens)
    unchanged = MeanPooling().convert(layer_of(minilm, 3), 12)
    torch.testing.assert_close(
        weights_of(minilm, unchanged, read[3]), result.layers[3].weights, rtol=0, atol=1e-6
    )  # fmt: skip
    pooled = weights_of(minilm, MeanPooling().convert(layer_of(minilm, 3), 6), read[3])
    apart = distances(result.layers[3].weights, pooled)
    assert apart.shape == (12,) and float(apart.min()) > 0.01 and float(apart.max()) <= 1


def test_second_moments_are_means_over_all_tokens_of_what_layers_read():
    model = load_model("mha-none", "cpu")
    passages = calibration().passages[:2]
    read = [inputs(model, model.tokens(passage))[2].double() for passage in passages]
    h = torch.nn.functional.pad(torch.cat(read), (0, 1), value=1.0)
    torch.testing.assert_close(second_moments(model, passages)[2].double(), h.T @ h / len(h), rtol=1e-5, atol=1e-7)


def test_inputs_are_what_the_layer_projects():
    model = load_model("gqa-rope", "cpu")
    tokens = model.tokens(SENTENCE)
    h = inputs(model, tokens)[1]
    v = (h @ model.layers[1]["v_proj.weight"].T).unflatten(1, (2, -1)).transpose(0, 1)
    torch.testing.assert_close(run(model, tokens).layers[1].v, v, rtol=0, atol=1e-5)


def test_perplexity_is_of_every_token_but_the_first_of_a_passage():
    model, passages = load_model("mha-rope", "cpu"), held_out().passages[:2]
    losses = []
    for passage in passages:
        tokens = model.tokens(passage)
        shares = run(model, tokens).logits.double().log_softmax(-1)
        losses += [-float(shares[i, token]) for i, token in enumerate(tokens.ids[1:])]
    expected = torch.tensor(losses, dtype=torch.float64).mean().exp()
    assert perplexity(model, passages) == pytest.approx(float(expected), rel=1e-5)


def test_a_sentence_is_the_mean_of_its_tokens_and_a_model_is_as_far_from_itself_as_nothing(minilm):
    sentences = held_out().sentences
    assert len(sentences) > 25 and all(len(s.split()) > 2 for s in sentences)
    one = embeddings(minilm, sentences[:1])
    torch.testing.assert_close(one[0], run(minilm, sentences[0]).hidden.mean(0))
    assert Evaluation.of(minilm, held_out()).value(minilm) == pytest.approx(1.0, abs=1e-6)


def test_the_texts_are_two_works_within_every_models_context(minilm, smollm2):
    assert held_out().title != calibration().title
    assert all(text.source and text.licence == "public domain" for text in (held_out(), calibration()))
    sibling = load_model("mha-rope", "cpu")
    for model in (minilm, smollm2, sibling):
        for passage in (*held_out().passages, *calibration().passages):
            model.tokens(passage)


def test_perplexity_is_refused_for_an_encoder(minilm):
    with pytest.raises(InputError, match="MiniLM reads both ways and predicts no next token"):
        perplexity(minilm, ("a text",))


def test_what_has_no_heads_is_refused_with_what_it_has():
    mla = load_model("mla-rope", "cpu")
    with pytest.raises(InputError, match="MLA · RoPE keeps a latent and a rotated key already"):
        convertible(mla)
    with pytest.raises(InputError, match="keeps a latent and a rotated key already"):
        layer_of(mla, 0)
    with pytest.raises(InputError, match="is run by transformers"):
        convertible(SimpleNamespace(**dict.fromkeys(_READABLE), title="Theirs", read=print))


def test_a_curve_has_few_points_and_ends_where_a_method_is_exact():
    for name in ("minilm", "smollm2", "mha-rope", "mqa-rope"):
        model = load_model(name, "cpu")
        for kind in METHODS.values():
            conversion: Conversion = kind()
            if conversion.refusal(model.attention, model.position) is None:
                points = grid(conversion, model.attention)
                assert 1 <= len(points) <= 6 and list(points) == sorted(set(points))
                assert points[-1] == conversion.settings(model.attention)[-1]
