"""Several budgets from one constant phase: each is the run that it would have been alone."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch

from headlight.core.errors import TrainingError
from tests.training.texts import TrainingFolder
from training import loop
from training.loop import Machine, State
from training.presets import PRESETS, Preset, Sibling
from training.text.prepare import prepare

TINY = PRESETS["tiny"]
STEP = TINY.batch * TINY.context
SMALL, LARGE = TINY.at(20 * STEP), TINY.at(35 * STEP)  # decays of 4 and 7 steps
MACHINE = Machine(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = TrainingFolder(tmp_path_factory.mktemp("stages"))
    return prepare(TINY, folder.work, folder.corpus, folder.valid)


def train(preset: Preset, prepared, work, stop: int | None = None) -> State:
    """To the end of the budget, or as if killed after step `stop`."""
    sibling = Sibling(preset, "gqa", "rope", prepared.sha256)
    state = loop.begin(sibling, MACHINE)
    for _ in loop.train_stage(state, sibling, prepared.train, MACHINE, work):
        if state.step == stop:
            break
    return state


def test_a_budget_after_another_is_the_run_that_it_would_have_been_alone(prepared, tmp_path):
    first = train(SMALL, prepared, tmp_path / "both")
    second = train(LARGE, prepared, tmp_path / "both")
    alone = train(LARGE, prepared, tmp_path / "alone")
    assert len(first.losses) == 20 and second.losses == alone.losses and len(second.losses) == 35
    assert second.losses[:17] == first.losses[:17], "up to its decay, the smaller budget is the same run"
    assert second.losses[19] != first.losses[19]
    assert all(torch.equal(second.params[name], t) for name, t in alone.params.items())


@pytest.mark.parametrize("stop", [3, 15, 16, 18])
def test_a_stopped_stage_goes_on_with_the_same_losses_bit_for_bit(stop, prepared, tmp_path):
    unbroken = train(SMALL, prepared, tmp_path / "unbroken")
    train(SMALL, prepared, tmp_path / "broken", stop)
    assert train(SMALL, prepared, tmp_path / "broken").losses == unbroken.losses


def test_a_state_is_kept_where_each_decay_branches_off(prepared, tmp_path):
    for preset in (SMALL, LARGE):
        train(preset, prepared, tmp_path)
    assert {path.name for path in tmp_path.glob("*.pt")} == {
        "gqa-rope.constant.pt", "gqa-rope.constant-000016.pt", "gqa-rope.constant-000028.pt",
        f"gqa-rope.{SMALL.name}.pt", f"gqa-rope.{LARGE.name}.pt",
    }  # fmt: skip


def test_a_smaller_budget_than_the_one_before_is_refused(prepared, tmp_path):
    train(LARGE, prepared, tmp_path)
    with pytest.raises(TrainingError, match="train smaller budgets first"):
        train(SMALL, prepared, tmp_path)


def test_snapshots_hold_the_weights_of_their_step_in_half_precision(prepared, tmp_path):
    train(LARGE, prepared, tmp_path / "all")
    folder = tmp_path / "all" / "snapshots" / "gqa-rope"
    assert [path.name for path in sorted(folder.iterdir())] == [f"step-{n:06}.safetensors" for n in (0, 16, 23)]
    state = train(LARGE, prepared, tmp_path / "stopped", stop=23)
    weights = safetensors.torch.load_file(folder / "step-000023.safetensors")
    assert all(torch.equal(weights[name], t.half()) for name, t in state.params.items())


def test_snapshots_are_about_twenty_and_the_same_for_all_budgets():
    steps = loop.snapshot_steps(PRESETS["family"].steps)
    assert 20 <= len(steps) <= 24 and steps[:4] == [0, 16, 23, 32]
    assert loop.snapshot_steps(5000) == [step for step in steps if step <= 5000]


def test_budgets_share_the_fingerprint_of_their_constant_phase_alone():
    phases = {Sibling(preset.constant, "mha", "rope", "c").fingerprint for preset in (SMALL, LARGE)}
    whole = {Sibling(preset, "mha", "rope", "c").fingerprint for preset in (SMALL, LARGE)}
    assert len(phases) == 1 and len(whole) == 2 and not phases & whole


def test_the_family_is_its_own_recipe_at_fifty_million_tokens():
    family = PRESETS["family"]
    assert family.at(50_000_000).facts == family.facts and 50_000_000 <= family.tokens < 50_002_048


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"decay": 12}, "fewer than all 12 steps"), ({"mix": (1.0, 2.0)}, "each of books, stories, sentences")],
)
def test_a_preset_that_cannot_be_is_refused(changes, told):
    with pytest.raises(TrainingError, match=told):
        Preset(**{**vars(TINY), **changes})
