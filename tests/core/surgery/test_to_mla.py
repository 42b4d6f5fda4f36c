"""A layer as MLA: exact where nothing has to be given up, and with the frequencies that its rotated pairs had."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headlight import load_model, run
from headlight.core.attention.folds import fold_rows
from headlight.core.errors import InputError
from headlight.core.positions import RoPE
from headlight.core.surgery.calibration import second_moments
from headlight.core.surgery.conversions import to_mla
from headlight.core.surgery.conversions.aligned import merge
from headlight.core.surgery.held_out import calibration
from tests.core.surgery.layers import D_MODEL, HEAD_DIM, N_HEADS, inputs, layer


def as_mla(it, rank, rotary):
    made = to_mla.as_mla(it, rank, rotary)
    params = dict(made.params) | {"q_proj.weight": fold_rows(it.params["q_proj.weight"], made.query_folds)}
    return to_mla.sizes(it.attention, rank, rotary), to_mla.encoding(it.position, rotary), params


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_one_kv_head_whose_slow_pairs_stand_still_loses_nothing(monkeypatch, layout):
    monkeypatch.setattr(to_mla, "STEADY", 1e5)
    it = replace(layer(1, layout), position=RoPE(HEAD_DIM, theta=1e80, layout=layout))
    attention, position, params = as_mla(it, 2 * HEAD_DIM - 2 + 1, 2)
    assert {name: tuple(t.shape) for name, t in params.items()} == attention.shapes()
    before, after = (a.attend(inputs()[:13], p, e) for a, p, e in ((it.attention, it.params, it.position),
                                                                   (attention, params, position)))  # fmt: skip
    torch.testing.assert_close(after.weights, before.weights, rtol=0, atol=1e-7)
    torch.testing.assert_close(after.out, before.out, rtol=0, atol=1e-7)


def test_the_rotated_pairs_keep_their_frequencies():
    for rotary in (2, 16, 32):
        new = to_mla.encoding(RoPE(64, theta=1e5), rotary)
        torch.testing.assert_close(
            new.frequencies(torch.float64), RoPE(64, theta=1e5).frequencies(torch.float64)[: rotary // 2], rtol=1e-13, atol=0
        )  # fmt: skip


def test_the_cache_is_the_latent_and_one_rotated_key():
    attention = to_mla.sizes(layer(3).attention, 7, 4)
    assert attention.cached_elements_per_token() == 11
    assert (attention.d_model, attention.n_heads, attention.head_dim) == (D_MODEL, N_HEADS, HEAD_DIM)


def test_a_constant_in_the_latent_keeps_more_than_the_bare_norm(monkeypatch):
    it, lost = layer(3, "half"), {}
    original = it.attention.attend(inputs()[:13], it.params, it.position).out
    for steady in (1e-3, to_mla.STEADY):
        monkeypatch.setattr(to_mla, "STEADY", steady)
        attention, position, params = as_mla(it, 20, 6)
        lost[steady] = float((attention.attend(inputs()[:13], params, position).out - original).square().sum())
    assert lost[to_mla.STEADY] < lost[1e-3]


def test_a_whole_model_runs_and_decodes_from_its_latent():
    model = load_model("gqa-rope", "cpu")
    new = to_mla.mla_model(model, second_moments(model, calibration().passages[:1]), 40, 16)
    result = run(new, "Once upon a time there was a fox.")
    assert new.attention.cached_elements_per_token() == 56 and bool(result.logits.isfinite().all())
    assert (
        new.attention.absorbs(new.position) and new.layers[0]["gate_proj.weight"] is model.layers[0]["gate_proj.weight"]
    )


def test_a_model_without_rope_is_refused():
    with pytest.raises(InputError, match="whole heads are rotated"):
        to_mla.as_mla(layer(3, None), 8, 2)


def test_merged_keys_and_values_are_calibrated():
    assert merge(layer(6, "half"), 1).keys.folds.shape == (6, HEAD_DIM, HEAD_DIM)
