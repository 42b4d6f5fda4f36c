"""Stopped or killed at any moment, a run goes on and computes the very losses of an unbroken one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from training import loop
from training.loop import Machine, State
from training.presets import PRESETS, Sibling
from training.text.prepare import prepare

STEPS, EVERY = PRESETS["tiny"].steps, PRESETS["tiny"].checkpoint

# Runs the command, and kills its own process in the middle of writing the second checkpoint.
KILLED = """
import os, signal, sys
from training import files, run
flush, calls = os.fsync, []
def fsync(handle):
    flush(handle)
    calls.append(os.readlink(f"/proc/self/fd/{handle}") if os.path.exists("/proc/self/fd") else "")
    if sum(".pt." in name for name in calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
files.os.fsync = fsync
sys.exit(run.main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def prepared(folder):
    return prepare(PRESETS["tiny"], folder.work, folder.corpus, folder.valid)


def train(sibling, prepared, checkpoint, steps: int = STEPS, dtype: torch.dtype = torch.bfloat16) -> State:
    """Goes on from the checkpoint if there is one, and stops after `steps` steps in all, as if killed there."""
    machine = Machine(torch.device("cpu"), dtype)
    state = loop.begin(sibling, machine)
    if checkpoint.exists():
        loop.resume(state, sibling, checkpoint)
    for _ in loop.train(state, sibling, prepared.train, machine, checkpoint):
        if state.step == steps:
            break
    return state


@pytest.mark.parametrize("variant", ["mha", "mla"])
@pytest.mark.parametrize("stopped", [1, EVERY - 1, EVERY, EVERY + 2, STEPS - 1])
def test_a_stopped_run_goes_on_with_the_same_losses_bit_for_bit(variant, stopped, prepared, tmp_path):
    sibling = Sibling(PRESETS["tiny"], variant, "rope", prepared.sha256)
    unbroken = train(sibling, prepared, tmp_path / "unbroken.pt")
    train(sibling, prepared, tmp_path / "broken.pt", stopped)
    resumed = train(sibling, prepared, tmp_path / "broken.pt")
    assert resumed.losses == unbroken.losses and len(resumed.losses) == STEPS
    assert all(torch.equal(resumed.params[name], t) for name, t in unbroken.params.items())


def test_a_run_stopped_twice_goes_on_too(prepared, tmp_path):
    sibling = Sibling(PRESETS["tiny"], "gqa", "sinusoidal", prepared.sha256)
    unbroken = train(sibling, prepared, tmp_path / "unbroken.pt")
    for stopped in (EVERY + 1, 2 * EVERY + 1, STEPS):
        broken = train(sibling, prepared, tmp_path / "broken.pt", stopped)
    assert broken.losses == unbroken.losses


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the file being written is found through /proc")
def test_killed_while_it_writes_a_checkpoint_a_run_still_ships_the_same_sibling(folder, trained):
    arguments = folder.arguments("--threads", "1")
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, timeout=120)
    assert killed.returncode == -9, killed.stderr.decode()
    assert not (folder.output / "mha-rope").exists()
    assert folder.run("--resume") == 0
    again, unbroken = (place.output / "mha-rope" / "model.safetensors" for place in (folder, trained))
    assert again.read_bytes() == unbroken.read_bytes()


def test_the_loss_falls_and_agrees_between_the_two_precisions(prepared, tmp_path):
    sibling = Sibling(PRESETS["tiny"], "mha", "none", prepared.sha256)
    half = train(sibling, prepared, tmp_path / "half.pt")
    full = train(sibling, prepared, tmp_path / "full.pt", dtype=torch.float32)
    assert half.losses[-1] < half.losses[0] - 0.5
    # bfloat16 keeps 8 bits; a mean over 512 tokens of rounding errors of 2^-8 each stays well below 2^-5.
    assert max(abs(a - b) for a, b in zip(half.losses, full.losses, strict=True)) < 2**-5


def rates(**changes) -> list[float]:
    preset = replace(PRESETS["tiny"], steps=100, warmup=10, peak=2.0, **changes)
    return [loop.learning_rate(step, preset) for step in range(100)]


@pytest.mark.parametrize("changes", [{}, {"schedule": "wsd", "decay": 30}])
def test_the_learning_rate_rises_and_falls_to_nothing(changes):
    taken = rates(**changes)
    assert taken[9] == 2.0 and taken == sorted(taken[:10]) + sorted(taken[10:], reverse=True)
    assert 0 < taken[0] == 0.2 and 0 < taken[-1] < 0.04


def test_between_warmup_and_decay_the_rate_is_constant():
    taken = rates(schedule="wsd", decay=30)
    assert set(taken[9:71]) == {2.0} and taken[71] < 2.0
    assert taken[:70] == rates(schedule="constant")[:70] == rates(schedule="wsd", decay=10)[:70]


def test_norms_have_no_weight_decay():
    state = loop.begin(Sibling(PRESETS["tiny"], "mla", "none", ""), Machine(torch.device("cpu")))
    matrices, norms = state.optimizer.param_groups
    assert {t.ndim for t in matrices["params"]} == {2} and matrices["weight_decay"] > 0
    assert {t.ndim for t in norms["params"]} == {1} and norms["weight_decay"] == 0
