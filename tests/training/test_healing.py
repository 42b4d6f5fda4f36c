"""Healing: begins with the conversion, goes on with unread rows, resumes to the bit; what is shipped is what its card says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from headlight.core.checkpoints import sibling
from headlight.core.errors import UnknownNameError
from headlight.core.model import run
from headlight.core.surgery.calibration import second_moments
from headlight.core.surgery.healed import FOLDER, healed
from headlight.core.surgery.held_out import calibration
from headlight.core.surgery.whole import convert_model
from training import heal, loop, model
from training.loop import Machine
from training.measures.heads import opened
from training.text.tokens import Later, Rows

SHIPPED = sorted(path.parent.name for path in FOLDER.glob("*/model.safetensors"))
CPU = torch.device("cpu")


def test_something_is_healed_and_every_case_of_it_is_one_of_the_commands():
    assert SHIPPED and set(SHIPPED) <= set(heal.CASES)
    assert {each.name for each in healed()} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_losses_on_the_card_are_those_of_the_weights(name):
    case, card = heal.CASES[name], json.loads((FOLDER / name / "card.json").read_text("utf-8"))
    rows = json.loads((sibling.FOLDER / "sample.json").read_text("utf-8"))
    shipped = sibling.load(FOLDER / name, CPU, torch.float32)
    assert _loss(shipped, rows) == pytest.approx(card["sample_loss"], abs=0.01)
    source = sibling.load(sibling.FOLDER / case.source, CPU, torch.float32)
    moments = second_moments(source, calibration().passages) if case.conversion.calibrated else None
    before = convert_model(source, case.conversion, case.setting, moments)
    assert _loss(before, rows) == pytest.approx(card["converted"]["sample_loss"], abs=0.01)
    assert shipped.attention == before.attention
    assert shipped.attention.cached_elements_per_token() == card["cached_elements_per_token_and_layer"]


def _loss(it, rows) -> float:
    losses = [F.cross_entropy(run(it, opened(row[:-1])).logits, torch.tensor(row)) for row in rows]
    return float(torch.stack(losses).mean())


def test_what_was_broken_is_healed_in_part_and_beside_it_stands_what_keeps_as_much():
    for each in healed():
        broken = each.converted.validation - each.trained.validation
        if broken > 0.1:
            assert each.trained.validation < each.healed.validation < each.trained.validation + broken / 4
        assert each.kept == each.beside_kept < each.source_kept


@pytest.mark.parametrize("name", heal.CASES)
def test_a_healing_begins_with_the_converted_weights(name):
    asked = heal.healing(name, 5, "corpus")
    params = heal.converted(asked.case)
    assert {key: tuple(t.shape) for key, t in params.items()} == sibling.shapes(asked.config)
    network = model.Network(asked.config)
    assert network.attention.cached_elements_per_token() <= 384
    if name.endswith("unchanged"):
        own = sibling.load(sibling.FOLDER / asked.case.source, CPU, torch.float32)
        assert torch.equal(params["layers.2.k_proj.weight"], own.layers[2]["k_proj.weight"])


def test_the_batched_network_computes_what_the_converted_model_does():
    asked = heal.healing("mha-sinusoidal-to-latent", 5, "corpus")
    ids = torch.tensor([[0, 5, 17, 900, 33, 2], [0, 44, 3, 3, 1, 7]])
    network = model.Network(asked.config)
    params = heal.converted(asked.case)
    case = asked.case
    source = sibling.load(sibling.FOLDER / case.source, CPU, torch.float32)
    whole = convert_model(source, case.conversion, case.setting, second_moments(source, calibration().passages))
    for row, logits in zip(ids.tolist(), network.logits(params, ids), strict=True):
        torch.testing.assert_close(logits, run(whole, opened(row[1:])).logits, rtol=0, atol=2e-4)


def test_rows_go_on_where_the_siblings_own_training_ended():
    stream = np.arange(40 * 16, dtype=np.uint16)
    rows, later = Rows(stream, 16), Later(stream, 16, 7)
    for step in range(4):
        assert later.order(step, 4, 3).tolist() == rows.order(7 + step, 4, 3).tolist()
    read = {row for step in range(7) for row in rows.order(step, 4, 3).tolist()}
    assert not read & set(later.order(0, 4, 3).tolist())


def test_a_stopped_healing_goes_on_with_the_same_losses_bit_for_bit(tmp_path):
    asked = heal.healing("mha-sinusoidal-to-latent", 6, "corpus")
    asked = replace(asked, preset=replace(asked.preset, batch=2, context=32, checkpoint=2))
    rows = Later(np.random.default_rng(0).integers(0, 4096, 4000).astype(np.uint16), 32, 3)

    def train(name: str, steps: int) -> list[float]:
        machine = Machine(CPU, torch.float32)
        state, path = loop.begin(asked, machine, heal.converted(asked.case)), tmp_path / name
        if path.exists():
            loop.resume(state, asked, path)
        for _ in loop.train(state, asked, rows, machine, path):
            if state.step == steps:
                break
        return state.losses

    train("broken.pt", 3)
    assert train("broken.pt", 6) == train("unbroken.pt", 6)


def test_a_name_that_is_none_and_no_steps_are_refused(capsys):
    with pytest.raises(UnknownNameError, match=r"no healing is called 'mha'; there are mha-rope-to-gqa"):
        heal.healing("mha", 5, "corpus")
    assert heal.main(["--steps", "0"]) == 2
    assert "--steps (0) must be 1 or more" in capsys.readouterr().err


def test_another_budget_or_other_weights_are_another_healing():
    asked = heal.healing("mha-rope-to-gqa", 5, "corpus")
    others = [heal.healing("mha-rope-to-gqa", 6, "corpus"), heal.healing("mha-rope-to-mqa", 5, "corpus"),
              replace(asked, corpus="other"), replace(asked, weights="other")]  # fmt: skip
    assert len({asked.fingerprint, *(other.fingerprint for other in others)}) == 5
