"""A finished run -> a folder of assets: weights in half precision, configuration and card, all or nothing."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from headlight.core.checkpoints import sibling as checkpoint
from headlight.core.errors import TrainingError
from training import evaluate, files, loop
from training.loop import BETAS, CLIP, DECAY, Machine, Plan, State
from training.presets import Sibling
from training.text.corpus import KINDS
from training.text.prepare import Prepared

_SCHEDULES = {
    "cosine": "cosine to 0",
    "wsd": "constant, then 1 - sqrt to 0 in the last {preset.decay} steps",
    "constant": "constant",
}
POINTS = 200  # points of a card's loss curve


@dataclass(frozen=True, eq=False)
class Job:
    """What all siblings of one command have in common: what they read, how it is computed, and where things go.

    command: as cards show it; work: tokens and checkpoints; output: assets; coref: the pronoun sets.
    """

    prepared: Prepared
    machine: Machine
    command: str
    work: Path
    output: Path
    coref: Path


def finished(sibling: Sibling, output: Path) -> bool:
    """Whether the sibling is shipped; raises TrainingError if what lies there came from another run."""
    card = place(sibling, output)
    if not card.exists():
        return False
    if json.loads(card.read_text("utf-8"))["fingerprint"] != sibling.fingerprint:
        raise TrainingError(f"{card} is of another run (corpus, preset or seed differ); name another --output")
    return True


def place(sibling: Sibling, output: Path) -> Path:
    """The card of a sibling; of other seeds the card is all that is kept."""
    return output / "seeds" / f"{sibling.name}.json" if sibling.seed else output / sibling.name / "card.json"


def ship(sibling: Sibling, state: State, job: Job) -> dict[str, Any]:
    """Writes the sibling's assets and returns its card; of other seeds than the first, only the card is written."""
    weights = loop.halves(state)
    card = facts(sibling, state, job)
    if not sibling.seed:
        return _write_folder(sibling, weights, card, job)
    halves = {name: t.float() for name, t in weights.items()}
    card |= evaluate.losses(sibling.config, halves, job.prepared, sibling.preset.valid)
    files.write_json(place(sibling, job.output), card)
    return card


def facts(sibling: Plan, state: State, job: Job) -> dict[str, Any]:
    """What a card says before anything is measured: sizes, budget, how it was made, and the loss curve."""
    preset = sibling.preset
    return {
        "name": sibling.name,
        "preset": preset.name,
        "seed": sibling.seed,
        "fingerprint": sibling.fingerprint,
        "parameters": sum(t.numel() for t in state.params.values()),
        "cached_elements_per_token_and_layer": checkpoint.attention_of(sibling.config).cached_elements_per_token(),
        "n_layers": preset.n_layers,
        "steps": preset.steps,
        "tokens_a_step": preset.batch * preset.context,
        "tokens_seen": preset.tokens,
        "epochs": round(preset.tokens / (len(job.prepared.train) * preset.context), 3),
        "optimiser": {
            "name": "AdamW", "peak_learning_rate": preset.peak, "warmup_steps": preset.warmup,
            "schedule": _SCHEDULES[preset.schedule].format(preset=preset),
            "betas": BETAS, "weight_decay_of_matrices": DECAY, "clipped_norm": CLIP,
        },
        "initialisation": {name: sibling.config.get(name, 0.0) for name in ("embedding_multiplier", "embedding_mean")},
        "mix": dict(zip(KINDS, preset.mix or (1.0,) * len(KINDS), strict=True)),
        "corpus": job.prepared.sources,
        "command": job.command,
        "seconds": round(state.seconds),
        "cpu_seconds": round(state.cpu_seconds),
        "hardware": hardware(job.machine),
        "precision": str(job.machine.dtype).removeprefix("torch."),
        "compiled": job.machine.compiled,
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "loss_curve": curve(state.losses),
    }  # fmt: skip


def curve(losses: list[float], points: int = POINTS) -> dict[str, list[float]]:
    """The losses as at most `points` means over equal stretches, and the step at which each stretch ends."""
    stretches = np.array_split(np.arange(len(losses)), min(points, len(losses)))
    means = [round(float(np.mean([losses[i] for i in stretch])), 4) for stretch in stretches]
    return {"step": [int(stretch[-1]) + 1 for stretch in stretches], "nats_a_token": means}


def hardware(machine: Machine) -> str:
    """The processor or GPU, and how many threads one run had."""
    if machine.device.type == "cuda":
        return torch.cuda.get_device_name(machine.device)
    return f"{_processor()}, threads: {torch.get_num_threads()}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _write_folder(sibling: Sibling, weights: dict[str, Tensor], card: dict[str, Any], job: Job) -> dict[str, Any]:
    _write_shared(job)
    temporary = Path(tempfile.mkdtemp(prefix=f".{sibling.name}.", dir=job.output))
    try:
        files.write(temporary / "model.safetensors", safetensors.torch.save(weights))
        files.write_json(temporary / "config.json", sibling.config)
        card |= evaluate.measure(temporary, job.prepared, sibling.preset.valid, job.coref)
        files.write_json(temporary / "card.json", card)
        temporary.chmod(0o755)
        temporary.rename(job.output / sibling.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return card


def _write_shared(job: Job) -> None:
    files.write(job.output / "tokenizer.json", job.prepared.tokenizer.read_bytes())
    files.write_json(job.output / "sample.json", evaluate.sample_rows(job.prepared).tolist())
