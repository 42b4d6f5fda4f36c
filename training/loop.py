"""Optimise one sibling: AdamW, warm-up and cosine, clipping; stopped at any moment, it goes on from its last checkpoint.

Which rows a step reads and which learning rate it takes follow from the step's number alone, and nothing else is
random, so a resumed run computes the very losses of an unbroken one.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from headlight.core.checkpoints.folder import Config
from headlight.core.errors import TrainingError
from torch import Tensor

from training import files, model
from training.presets import Preset
from training.tokens import Rows

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
    """What a checkpoint holds: parameters (float32), optimiser, the loss of every step so far (nats), seconds spent."""

    params: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)


def train(state: State, sibling: Plan, rows: Rows, machine: Machine, checkpoint: Path) -> Iterator[State]:
    """Takes the state to the end of the preset's steps, yielding it after each, and writes `checkpoint` on the way.

    Raises TrainingError for a loss that is no number.
    """
    compute = _loss_function(sibling, machine)
    while state.step < sibling.preset.steps:
        started = time.perf_counter()
        state.losses.append(_step(state, sibling, rows, compute))
        state.seconds += time.perf_counter() - started
        if state.step % sibling.preset.checkpoint == 0 or state.step == sibling.preset.steps:
            save(state, sibling, checkpoint)
        yield state


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


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Rises linearly to `peak` in `warmup` steps, then falls along half a cosine to 0 at the last step."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def save(state: State, sibling: Plan, path: Path) -> None:
    """Writes a checkpoint, all or nothing."""
    held = {
        "sibling": sibling.fingerprint,
        "params": {name: t.detach() for name, t in state.params.items()},
        "optimizer": state.optimizer.state_dict(),
        "losses": state.losses,
        "seconds": state.seconds,
    }
    buffer = io.BytesIO()
    torch.save(held, buffer)
    files.write(path, buffer.getvalue())


def resume(state: State, sibling: Plan, path: Path) -> None:
    """Puts a checkpoint's contents into a fresh state; raises TrainingError if it is damaged or of another run."""
    held = _read(path)
    if held["sibling"] != sibling.fingerprint:
        raise TrainingError(f"{path} is of another run (corpus, preset or seed differ); remove it to start anew")
    with torch.no_grad():
        for name, t in held["params"].items():
            state.params[name].copy_(t)
    state.optimizer.load_state_dict(held["optimizer"])
    state.losses, state.seconds = held["losses"], held["seconds"]


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

    def compute(params: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return model.loss(network, {name: t.to(machine.dtype) for name, t in params.items()}, inputs, targets)

    return compiled(compute) if machine.compiled else compute


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
        settings["lr"] = learning_rate(state.step, preset.steps, preset.warmup, preset.peak)
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
