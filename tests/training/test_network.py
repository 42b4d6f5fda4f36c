"""The batched path is core's own model, row by row."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from torch.nn import functional as F

from headlight.core.attention import MLA
from headlight.core.checkpoints import sibling
from headlight.core.model import run
from training import model
from training.measures.heads import opened
from training.presets import PRESETS, Sibling, siblings

TWELVE = [s for s in siblings(PRESETS["tiny"], "no corpus") if not s.seed]


@pytest.fixture
def folder(trained, tmp_path):
    """A sibling's folder without weights, beside a tokenizer."""
    (tmp_path / "tokenizer.json").write_bytes((trained.output / "tokenizer.json").read_bytes())
    (tmp_path / "one").mkdir()
    return tmp_path / "one"


def save(folder, config, params) -> None:
    safetensors.torch.save_file(params, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("one", TWELVE, ids=lambda s: s.name)
def test_a_batch_equals_core_run_row_by_row(one, folder):
    params = {name: t.double() for name, t in model.initial(one.config, 3).items()}
    save(folder, one.config, params)
    shipped = sibling.load(folder, torch.device("cpu"), torch.float64)
    ids = torch.randint(1, 300, (3, 19), generator=torch.Generator().manual_seed(0))
    ids[:, 0] = 0
    logits = model.Network(one.config).logits(params, ids)
    for row, expected in zip(ids.tolist(), logits, strict=True):
        # float64 with sums in another order: some 1e-15 of numbers around 5.
        torch.testing.assert_close(run(shipped, opened(row[1:])).logits, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("one", TWELVE, ids=lambda s: s.name)
def test_gradients_reach_every_parameter(one):
    params = {name: t.double().requires_grad_() for name, t in model.initial(one.config, 0).items()}
    ids = torch.randint(0, 300, (2, 11), generator=torch.Generator().manual_seed(1))
    model.loss(params, model.Network(one.config).hidden, ids, ids.roll(-1, 1)).backward()
    assert [name for name, t in params.items() if t.grad is None or not t.grad.abs().sum() > 0] == []


def test_the_loss_is_cross_entropy_in_nats_a_token():
    config = TWELVE[0].config
    params = {name: t.double() for name, t in model.initial(config, 0).items()}
    ids = torch.randint(0, 300, (2, 5), generator=torch.Generator().manual_seed(2))
    network = model.Network(config)
    expected = -F.log_softmax(network.logits(params, ids), -1).gather(2, ids[..., None]).mean()
    torch.testing.assert_close(model.loss(params, network.hidden, ids, ids), expected)


def test_siblings_begin_alike_wherever_their_shapes_are_alike():
    first = model.initial(TWELVE[0].config, 0)
    for one in TWELVE[1:]:
        other = model.initial(one.config, 0)
        same = {name for name in first.keys() & other.keys() if first[name].shape == other[name].shape}
        assert {"embedding.weight", "layers.0.gate_proj.weight", "layers.1.o_proj.weight"} <= same
        assert all(torch.equal(first[name], other[name]) for name in same)
    assert not torch.equal(first["embedding.weight"], model.initial(TWELVE[0].config, 1)["embedding.weight"])


def test_tokens_enter_as_large_as_the_sinusoids_are():
    config = siblings(PRESETS["small"], "")[0].config
    entering = model.initial(config, 0)["embedding.weight"] * config["embedding_multiplier"]
    assert 0.95 < float(entering.std()) < 1.05


def test_a_mean_vector_is_in_every_row_of_the_embedding_alone():
    plain, shifted = (Sibling(replace(PRESETS["small"], embedding_mean=m), "mha", "rope", "") for m in (0.0, 0.5))
    before, after = model.initial(plain.config, 0), model.initial(shifted.config, 0)
    shift = after.pop("embedding.weight") - before.pop("embedding.weight")
    torch.testing.assert_close(shift, shift[:1].expand_as(shift), rtol=0, atol=1e-6)
    # 192 draws: the norm of u/sqrt(d_model) is 1 give or take 1/sqrt(2 * 192).
    assert abs(float(shift[0].norm()) - 0.5) < 0.5 * 4 / (2 * 192) ** 0.5
    assert all(torch.equal(before[name], t) for name, t in after.items())


def test_the_configuration_tells_how_embeddings_begin():
    changed = replace(PRESETS["small"], embedding_multiplier=3.5, embedding_mean=1.0)
    config = Sibling(changed, "mha", "rope", "").config
    assert (config["embedding_multiplier"], config["embedding_mean"]) == (3.5, 1.0)
    assert "embedding_mean" not in Sibling(PRESETS["small"], "mha", "rope", "").config


def test_cached_numbers_are_those_of_the_papers_ratios():
    kept = {
        s.variant: sibling.attention_of(s.config).cached_elements_per_token() for s in siblings(PRESETS["base"], "")
    }
    assert kept == {"mha": 512, "gqa": 128, "mqa": 64, "mla": 144}


def test_without_rope_mla_keeps_its_shapes():
    rope, none = (s for s in TWELVE if s.variant == "mla" and s.encoding in ("rope", "none"))
    assert sibling.shapes(rope.config) == sibling.shapes(none.config)
    assert isinstance(sibling.attention_of(none.config), MLA)
