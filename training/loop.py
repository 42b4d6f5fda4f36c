"""Optimise one sibling: AdamW, warm-up and decay, clipping; stopped at any moment, it goes on from its last checkpoint.

Which rows a step reads and which learning rate it takes follow from the step's number alone, and nothing else is
random, so a resumed run computes the very losses of an unbroken one.

With the schedule "wsd" (warm-up, constant, decay; Hu et al. 2024, arXiv 2404.06395) the constant phase is the same for all
budgets: `train_stage` takes it up where the last budget's decay branched off, and keeps the state where its own does.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Tensor

from headlight.core.checkpoints.folder import Config
from headlight.core.errors import TrainingError, lookup
from training import files, model
from training.presets import Preset, Sibling
from training.text.tokens import Rows

CLIP = 1.0  # largest norm of all gradients together
DECAY = 0.1  # weight decay, on matrices alone
BETAS = (0.9, 0.95)


class Plan(Protocol):
    """What is trained: a sibling from scratch (`presets.Sibling`), or a converted one further (`heal.Healing`)."""

    @property
    def name(self) -> str:
        """As it is called in messages and files."""
        ...

    @property
    def preset(self) -> Preset:
        """Its sizes and budget."""
        ...

    @property
    def seed(self) -> int:
        """Of the order of its rows."""
        ...

    @property
    def config(self) -> Config:
        """Its config.json."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes with anything that its losses depend on."""
        ...


@dataclass(frozen=True)
class Machine:
    """Where and how to compute: device, precision of the passes (weights are kept in float32), whether to compile."""

    device: torch.device
    dtype: torch.dtype = torch.bfloat16
    compiled: bool = False


@dataclass
class State:
    """What a checkpoint holds: parameters (float32), optimiser, the loss of every step so far (nats), time spent.

    seconds: of the clock; cpu_seconds: of the processor, which is what can be compared where a machine is shared.
    """

    params: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)


def train(
    state: State, sibling: Plan, rows: Rows, machine: Machine, checkpoint: Path, snapshots: Path | None = None
) -> Iterator[State]:
    """Takes the state to the end of the preset's steps, yielding it after each, and writes `checkpoint` on the way.

    snapshots: a folder for the weights at `snapshot_steps`. Raises TrainingError for a loss that is no number.
    """
    compute = _loss_function(sibling, machine)
    points = set(snapshot_steps(sibling.preset.steps)) if snapshots else set()
    if snapshots and not state.step:
        write_snapshot(state, snapshots)
    while state.step < sibling.preset.steps:
        started, used = time.perf_counter(), time.process_time()
        state.losses.append(_step(state, sibling, rows, compute))
        state.seconds += time.perf_counter() - started
        state.cpu_seconds += time.process_time() - used
        if snapshots and state.step in points:
            write_snapshot(state, snapshots)
        if state.step % sibling.preset.checkpoint == 0 or state.step == sibling.preset.steps:
            save(state, sibling, checkpoint)
        yield state


def train_stage(state: State, sibling: Sibling, rows: Rows, machine: Machine, work: Path) -> Iterator[State]:
    """A fresh state to the end of a budget, whatever of the way checkpoints in `work` have done already.

    Raises TrainingError where the constant phase is past the start of this budget's decay and no state was kept there.
    """
    last = checkpoint_file(sibling, work)
    if last.exists():
        resume(state, sibling, last)
    elif sibling.preset.schedule == "wsd":
        yield from _train_constant(state, replace(sibling, preset=sibling.preset.constant), rows, machine, work)
    yield from train(state, sibling, rows, machine, last)


def _train_constant(state: State, phase: Sibling, rows: Rows, machine: Machine, work: Path) -> Iterator[State]:
    rolling, branch = work / f"{phase.name}.constant.pt", work / f"{phase.name}.constant-{phase.preset.steps:06}.pt"
    latest = next((path for path in (branch, rolling) if path.exists()), None)
    if latest:
        resume(state, phase, latest)
    if state.step > phase.preset.steps:
        raise TrainingError(
            f"{rolling} is at step {state.step:,}, past the {phase.preset.steps:,} of this budget's constant phase; "
            "train smaller budgets first, or name another folder with --work"
        )
    yield from train(state, phase, rows, machine, rolling, work / "snapshots" / phase.name)
    if not branch.exists():
        save(state, phase, branch)


def checkpoint_file(sibling: Plan, work: Path) -> Path:
    """Where a run's latest state is kept; with "wsd", that of its decay, as the constant phase has files of its own."""
    stage = f".{sibling.preset.name}" if sibling.preset.schedule == "wsd" else ""
    return work / f"{sibling.name}{stage}.pt"


def snapshot_steps(steps: int) -> list[int]:
    """Two points an octave, so that they are even on a log scale: 0, then from 16 steps on; the same for all budgets."""
    octaves = (round(16 * 2 ** (k / 2)) for k in itertools.count())
    return [0, *itertools.takewhile(lambda step: step <= steps, octaves)]


def write_snapshot(state: State, folder: Path) -> None:
    """The weights alone, in half precision, as "step-000016.safetensors"."""
    files.write(folder / f"step-{state.step:06}.safetensors", safetensors.torch.save(halves(state)))


def halves(state: State) -> dict[str, Tensor]:
    """The weights as they are shipped: in half precision."""
    return {name: t.detach().cpu().half().contiguous() for name, t in state.params.items()}


def begin(sibling: Plan, machine: Machine, weights: Mapping[str, Tensor] | None = None) -> State:
    """Fresh parameters (or those given) and a fresh optimiser."""
    first = model.initial(sibling.config, sibling.seed) if weights is None else weights
    params = {name: t.detach().clone().to(machine.device) for name, t in first.items()}
    for t in params.values():
        t.requires_grad_()
    matrices = [t for t in params.values() if t.ndim > 1]
    norms = [t for t in params.values() if t.ndim == 1]
    sets = [{"params": matrices, "weight_decay": DECAY}, {"params": norms, "weight_decay": 0.0}]
    return State(params, torch.optim.AdamW(sets, lr=0.0, betas=BETAS, fused=True))


def learning_rate(step: int, preset: Preset) -> float:
    """Rises linearly to `peak` in the steps of the warm-up, then goes as the preset's schedule says."""
    if step < preset.warmup:
        return preset.peak * (step + 1) / preset.warmup
    return preset.peak * lookup(SCHEDULES, preset.schedule, "schedule")(step, preset)


def _cosine(step: int, preset: Preset) -> float:
    """Half a cosine, to 0 at the last step."""
    return 0.5 * (1 + math.cos(math.pi * (step - preset.warmup) / max(preset.steps - preset.warmup, 1)))


def _warmup_stable_decay(step: int, preset: Preset) -> float:
    """1 up to the last `decay` steps, then 1 - sqrt(share of them that is done) (Hägele et al. 2024, arXiv 2405.18392)."""
    done = step - (preset.steps - preset.decay)
    return 1.0 if done <= 0 else 1 - math.sqrt(done / preset.decay)


SCHEDULES: Mapping[str, Callable[[int, Preset], float]] = {
    "cosine": _cosine, "wsd": _warmup_stable_decay, "constant": lambda step, preset: 1.0,
}  # fmt: skip


def save(state: State, sibling: Plan, path: Path) -> None:
    """Writes a checkpoint, all or nothing."""
    held = {
        "sibling": sibling.fingerprint,
        "params": {name: t.detach() for name, t in state.params.items()},
        "optimizer": state.optimizer.state_dict(),
        "losses": state.losses,
        "seconds": state.seconds,
        "cpu_seconds": state.cpu_seconds,
    }
    files.write_tensors(path, held)


def resume(state: State, sibling: Plan, path: Path) -> None:
    """Puts a checkpoint's contents into a fresh state; raises TrainingError if it is damaged or of another run."""
    held = _read(path)
    if held["sibling"] != sibling.fingerprint:
        raise TrainingError(f"{path} is of another run (corpus, preset or seed differ); remove it to start anew")
    with torch.no_grad():
        for name, t in held["params"].items():
            state.params[name].copy_(t)
    state.optimizer.load_state_dict(held["optimizer"])
    state.losses, state.seconds, state.cpu_seconds = held["losses"], held["seconds"], held.get("cpu_seconds", 0.0)


def _read(path: Path) -> dict[str, Any]:
    try:
        held: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises what unpickling happens to raise
        raise TrainingError(
            f"the checkpoint {path} is damaged ({type(error).__name__}); remove it to start anew"
        ) from error
    return held


def _loss_function(sibling: Plan, machine: Machine) -> Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]:
    network = model.Network(sibling.config)
    hidden = compiled(network.hidden) if machine.compiled else network.hidden

    def compute(params: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return model.loss({name: t.to(machine.dtype) for name, t in params.items()}, hidden, inputs, targets)

    return compute


def compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function through torch.compile, in one graph although RoPE asks for the last position as a number."""
    traced = torch.compile(function, dynamic=False)

    def call(*arguments: Any) -> Tensor:
        with torch._dynamo.config.patch(capture_scalar_outputs=True):
            result: Tensor = traced(*arguments)
        return result

    return call


def _step(state: State, sibling: Plan, rows: Rows, compute: Callable[..., Tensor]) -> float:
    preset = sibling.preset
    for settings in state.optimizer.param_groups:
        settings["lr"] = learning_rate(state.step, preset)
    inputs, targets = rows.batch(rows.order(state.step, preset.batch, sibling.seed))
    device = state.params["embedding.weight"].device
    loss = compute(state.params, inputs.to(device), targets.to(device))
    state.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(state.params.values()), CLIP)
    state.optimizer.step()
    return _finite(float(loss.detach()), sibling, state.step)


def _finite(loss: float, sibling: Plan, step: int) -> float:
    if not math.isfinite(loss):
        raise TrainingError(f"{sibling.name}: the loss is {loss} at step {step}; a lower learning rate would help")
    return loss
