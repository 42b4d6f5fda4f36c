"""Train a converted model against its original: AdamW, a constant rate that may go on for ever, and a decay to ship from.

Which batch a step reads and which rate it takes follow from its number, and nothing else is random: a run that was killed
goes on from its last checkpoint to the same losses, bit for bit. The constant phase and each decay that branches off from it
have checkpoints of their own, so that a larger budget goes on where the constant phase ended (Hu et al. 2024, MiniCPM, arXiv
2404.06395, warm-up, stable, decay).
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from headlight.core.checkpoints.variant import assembled, layer_tensors
from headlight.core.errors import TrainingError
from headlight.core.model import Model
from training import files
from training.distill.objectives import attention_outputs, divergence, token_states
from training.distill.passes import hidden
from training.distill.reading import Reading
from training.distill.recipes import Recipe
from training.distill.starts import Start

BETAS = (0.9, 0.95)
CLIP = 1.0  # largest norm of all gradients together
FLOOR = 0.02  # of the peak, at a decay's end
UP = 3.0  # the rate of low-rank updates' second factors, which begin at 0, beside all others'
SECONDS = 120.0  # between two checkpoints


@dataclass
class State:
    """What a checkpoint holds: tensors in float32, optimiser, the loss of every step so far, tokens read, seconds spent."""

    tensors: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)


@dataclass(frozen=True, eq=False)
class Run:
    """One variant in the making: the original, what it was converted to, what is read, and the folder for its states."""

    recipe: Recipe
    teacher: Model
    start: Start
    reading: Reading
    work: Path

    @property
    def student(self) -> Model:
        """The converted model's sizes around the original's other parameters; its own are handed in."""
        position = self.start.position or self.teacher.position
        return replace(self.teacher, attention=self.start.attention, position=position)

    @property
    def fingerprint(self) -> str:
        """Changes with what is read and how it is trained."""
        it = self.recipe
        numbers = it.peak, it.length, it.together, it.layer_steps, it.layer_peak, it.warmup
        return f"{it.name} {numbers} {self.reading.fingerprint}"


def begin(run: Run) -> State:
    """The converted tensors and a fresh optimiser."""
    tensors = {name: t.clone().requires_grad_() for name, t in run.start.tensors.items()}
    return State(tensors, _optimizer(tensors))


def train(run: Run, state: State, path: Path, constant: int, decay: int = 0) -> Iterator[State]:
    """Takes a state to step `constant` + `decay`, yielding it after each step; `path`: its checkpoint.

    Raises TrainingError for a loss that is no number.
    """
    saved, compute = time.perf_counter(), _objective(run)
    while state.step < constant + decay:
        started = time.perf_counter()
        _take(run, state, compute, rate(run.recipe, state.step, constant, decay))
        state.seconds += time.perf_counter() - started
        if state.step == constant + decay or time.perf_counter() - saved > SECONDS:
            save(run, state, path)
            saved = time.perf_counter()
        yield state


def rate(recipe: Recipe, step: int, constant: int, decay: int) -> float:
    """Learning rate of a step: warm-up at the start of either phase, constant, then linear to FLOOR of the peak."""
    layerwise = step < recipe.layer_steps
    peak = recipe.layer_peak if layerwise else recipe.peak
    warm = min(1.0, (step - (0 if layerwise else recipe.layer_steps) + 1) / recipe.warmup)
    left = 1.0 if step < constant else max(FLOOR, 1 - (step - constant + 1) / decay)
    return peak * warm * left


def params_of(tensors: dict[str, Tensor], base: Model) -> list[dict[str, Tensor]]:
    """Every layer's parameters, whole: the original's, and attention made of the tensors."""
    return [dict(own) | assembled(layer_tensors(tensors, i), own) for i, own in enumerate(base.layers)]


def save(run: Run, state: State, path: Path) -> None:
    """Writes a checkpoint, all or nothing."""
    held = {
        "fingerprint": run.fingerprint,
        "tensors": {name: t.detach() for name, t in state.tensors.items()},
        "optimizer": state.optimizer.state_dict(),
        "losses": state.losses,
        "tokens": state.tokens,
        "seconds": state.seconds,
    }
    files.write_tensors(path, held)


def resume(run: Run, path: Path) -> State:
    """The state in a checkpoint; raises TrainingError if it is damaged or of another run."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what unpickling happens to raise
        raise TrainingError(f"the checkpoint {path} is damaged ({type(error).__name__}); remove it") from error
    if held["fingerprint"] != run.fingerprint:
        raise TrainingError(f"{path} is of another run (corpus or recipe differ); remove it to start anew")
    tensors = {name: t.requires_grad_() for name, t in held["tensors"].items()}
    optimizer = _optimizer(tensors)
    optimizer.load_state_dict(held["optimizer"])
    return State(tensors, optimizer, held["losses"], held["tokens"], held["seconds"])


def branch(state: State) -> State:
    """A copy that can be trained without changing the state."""
    tensors = {name: t.detach().clone().requires_grad_() for name, t in state.tensors.items()}
    optimizer = _optimizer(tensors)
    optimizer.load_state_dict(copy.deepcopy(state.optimizer.state_dict()))
    return State(tensors, optimizer, list(state.losses), state.tokens, state.seconds)


def _optimizer(tensors: dict[str, Tensor]) -> torch.optim.AdamW:
    groups = [
        {"params": [t for name, t in tensors.items() if name.endswith(".up") is ups], "factor": factor}
        for ups, factor in ((False, 1.0), (True, UP))
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=0.0, betas=BETAS, weight_decay=0.0, fused=True)


Objective = Callable[[list[dict[str, Tensor]], Tensor, int], Tensor]


def _take(run: Run, state: State, compute: Objective, peak: float) -> None:
    if state.step == run.recipe.layer_steps:
        state.optimizer = _optimizer(state.tensors)  # another loss: what was known of its gradients is of no use
    for group in state.optimizer.param_groups:
        group["lr"] = peak * group["factor"]
    ids = run.reading.batch(state.step)
    loss = compute(params_of(state.tensors, run.teacher), ids, state.step)
    state.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(state.tensors.values()), CLIP)
    state.optimizer.step()
    state.losses.append(_finite(float(loss.detach()), run, state.step))
    state.tokens += ids.numel()


def _finite(loss: float, run: Run, step: int) -> float:
    if not math.isfinite(loss):
        raise TrainingError(f"{run.recipe.name}: the loss is {loss} at step {step}; a lower learning rate would help")
    return loss


def _objective(run: Run) -> Objective:
    student, teacher, head = run.student, run.teacher, run.teacher.head

    def compute(params: list[dict[str, Tensor]], ids: Tensor, step: int) -> Tensor:
        if step < run.recipe.layer_steps:
            return attention_outputs(student, params, teacher, ids)
        if head is None:
            return token_states(student, params, teacher, ids)
        ours, theirs = hidden(student, ids, params), remembered(run, ids)
        return divergence(ours.flatten(0, 1), theirs.flatten(0, 1), head)

    return compute


@torch.no_grad()
def remembered(run: Run, ids: Tensor) -> Tensor:
    """The original's hidden states for a batch, in half precision from a file where another variant or round had them made."""
    name = hashlib.sha256(ids.numpy().tobytes()).hexdigest()[:24]
    path = run.work / f"{run.teacher.name}-states" / f"{name}.pt"
    if path.exists():
        states: Tensor = torch.load(path, weights_only=True)
    else:
        states = hidden(run.teacher, ids, run.teacher.layers).half()
        files.write_tensors(path, states)
    return states.float()
