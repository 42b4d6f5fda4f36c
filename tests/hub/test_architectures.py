"""Checkpoints of one's own: what Headlight shows of each architecture is what `transformers` computes itself, or refused."""

from __future__ import annotations

import pytest
import torch

from headlight import load_model, run
from headlight.core.checkpoints.pretrained import smollm2_folder
from headlight.core.errors import InputError, UnsupportedModelError
from headlight.core.hub.load import load
from tests.hub.checkpoints import READ, REFUSED, TEXT, write

CPU = torch.device("cpu")


def attentions(model, ids) -> list[torch.Tensor]:
    with torch.inference_mode():
        found = model(input_ids=torch.tensor(ids)[None], output_attentions=True).attentions
    return [weights[0] for weights in found if weights is not None]


@pytest.mark.parametrize("name", READ)
def test_weights_are_those_that_transformers_reports(name, tmp_path):
    theirs = write(tmp_path, READ[name]())
    result = run(load(str(tmp_path), CPU), TEXT)
    expected = attentions(theirs, result.tokens.ids)
    assert len(result.layers) == len(expected)
    for layer, weights in enumerate(expected):
        torch.testing.assert_close(result.layers[layer].weights, weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", READ)
def test_values_weights_and_output_belong_together(name, tmp_path):
    """The module's own output follows from the weights that are shown: softmax(scores) v, projected where it projects."""
    write(tmp_path, READ[name]())
    model = load(str(tmp_path), CPU)
    result = run(model, TEXT)
    for layer, module in enumerate(model.attentions):
        trace = result.layers[layer]
        merged = trace.heads.transpose(0, 1).flatten(1)
        project = next(
            (p for n, p in module.named_children() if n in ("o_proj", "c_proj", "out_proj", "dense", "o")), None
        )
        if project is None or "albert" in name:  # the projection stands outside the module, or the residual is inside
            continue
        if "next" in name:  # a gate follows the heads
            continue
        torch.testing.assert_close(project(merged), trace.out, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_rightly_is_refused_with_the_reason(name, tmp_path):
    config, reason = REFUSED[name]
    write(tmp_path, config())
    with pytest.raises(UnsupportedModelError, match=reason):
        load(str(tmp_path), CPU)


def test_only_layers_asked_for_are_kept(tmp_path):
    write(tmp_path, READ["llama, GQA"]())
    result = run(load_model(str(tmp_path), "cpu"), TEXT, layers=[1])
    assert list(result.layers) == [1]
    with pytest.raises(InputError, match="layer 7 does not exist"):
        run(load_model(str(tmp_path), "cpu"), TEXT, layers=[7])


def test_rows_are_rows_of_the_map(tmp_path):
    write(tmp_path, READ["gpt-oss, sinks"]())
    result = run(load(str(tmp_path), CPU), TEXT)
    torch.testing.assert_close(result.layers.rows(0, slice(5, 9)), result.layers[0].weights[:, 5:9])


def test_rows_with_a_sink_add_up_to_less_than_one_and_all_others_to_one(tmp_path):
    write(tmp_path, READ["gpt-oss, sinks"]())
    sums = run(load(str(tmp_path), CPU), TEXT).layers[0].weights.sum(-1)
    assert (sums < 1 + 1e-6).all() and sums.mean() < 0.95
    write(tmp_path / "plain", READ["gemma2, soft cap and window"]())
    plain = run(load(str(tmp_path / "plain"), CPU), TEXT).layers[0].weights.sum(-1)
    torch.testing.assert_close(plain, torch.ones_like(plain))


def test_a_text_longer_than_the_positions_is_refused_in_one_sentence(tmp_path):
    write(tmp_path, READ["gpt2, scale by layer"]())
    with pytest.raises(InputError, match=r"65 tokens; .* reads 64"):
        run(load(str(tmp_path), CPU), " ".join(["w1"] * 65))
    write(tmp_path / "roberta", READ["roberta"]())  # two of its 64 positions are for padding
    with pytest.raises(InputError, match="cannot read these 64 tokens"):
        run(load(str(tmp_path / "roberta"), CPU), " ".join(["w2"] * 64))


def test_the_model_is_described_by_what_it_is(tmp_path):
    write(tmp_path, READ["qwen3-next, one attention layer"]())
    model = load(str(tmp_path), CPU)
    assert (model.n_layers, model.n_heads, model.causal, model.context) == (1, 6, True, 64)
    assert "qwen3_next" in model.about
    write(tmp_path / "bert", READ["bert"]())
    assert not load(str(tmp_path / "bert"), CPU).causal


def test_a_trained_model_looks_at_the_same_whether_carried_by_transformers_or_by_our_own_code(smollm2, sentence):
    carried = run(load(str(smollm2_folder()), CPU), sentence)
    ours = run(smollm2, sentence)
    assert carried.tokens.ids == ours.tokens.ids
    for layer in ours.layers:  # float32 rounding through 30 layers: each is up to 9e-6 from the float64 weights
        torch.testing.assert_close(carried.layers[layer].weights, ours.layers[layer].weights, rtol=0, atol=2e-5)
