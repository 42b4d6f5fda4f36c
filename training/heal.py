"""Convert a trained sibling and train it a little further: `python -m training.heal --corpus FILE --valid FILE --resume`.

The GQA paper calls this uptraining, and gives it 5% of the pretraining steps (Ainslie et al. 2023, arXiv 2305.13245, section
2.1). Each healing goes on where the sibling's own training ended: the rows that would have come next, another warm-up and
cosine. A sibling that is trained further as it is (`unchanged`) tells how much of the gain is mere training.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor
from tqdm import tqdm

from headlight.core.attention.variants import name_of
from headlight.core.checkpoints import sibling as checkpoint
from headlight.core.checkpoints.folder import Config, read_config
from headlight.core.errors import HeadlightError, TrainingError, lookup
from headlight.core.loading import pick_device
from headlight.core.surgery import Conversion, MeanPooling, WeightedSVD
from headlight.core.surgery.base import heads_of
from headlight.core.surgery.calibration import second_moments
from headlight.core.surgery.held_out import calibration
from headlight.core.surgery.whole import convert_model
from training import evaluate, files, loop, ship
from training.loop import Machine, State
from training.presets import PRESETS, Preset
from training.ship import Job
from training.text.prepare import Prepared, claimed, prepare
from training.text.tokens import Later

ROOT = Path(__file__).resolve().parent.parent
SIBLINGS = ROOT / "assets" / "siblings"
HEALED = ROOT / "assets" / "healed"
PRESET = "small"  # what the shipped siblings were trained with
STEPS = 260  # a tenth of theirs; the paper's budget is a twentieth
PEAK, WARMUP = 1e-3, 20  # a quarter of the peak that they were trained with


@dataclass(frozen=True)
class Case:
    """What is healed: the sibling `source`, converted by `conversion` at `setting`; beside: the sibling that was trained that
    way from scratch and keeps as much, or None; kept: whether the weights are shipped."""

    source: str
    conversion: Conversion
    setting: int
    beside: str | None = None
    kept: bool = True


CASES: Mapping[str, Case] = {
    "mha-rope-to-gqa": Case("mha-rope", MeanPooling(), 2, "gqa-rope"),
    "mha-rope-to-mqa": Case("mha-rope", MeanPooling(), 1, "mqa-rope"),
    "mha-rope-unchanged": Case("mha-rope", MeanPooling(), 6, kept=False),
    "mha-sinusoidal-to-latent": Case("mha-sinusoidal", WeightedSVD(), 144, "mla-sinusoidal"),
    "mha-sinusoidal-unchanged": Case("mha-sinusoidal", MeanPooling(), 6, kept=False),
}


@dataclass(frozen=True)
class Healing:
    """One case with its budget, as `loop.train` wants it; corpus: sha256 of what is read; weights: of what it begins with."""

    name: str
    case: Case
    preset: Preset
    corpus: str
    weights: str
    seed: int = 0

    @property
    def config(self) -> Config:
        """The source's config.json with the converted attention in it."""
        config = read_config(SIBLINGS / self.case.source)
        source = heads_of(checkpoint.attention_of(config))
        if source is None:
            raise TrainingError(f"{self.case.source} has no key and value heads to convert")
        new = self.case.conversion.attention(source, self.case.setting)
        # n_kv_heads is written for MHA and MQA as well, whose class says it: so it was before.
        sizes = {f.name: getattr(new, f.name) for f in fields(new) if f.name not in ("causal", "bias")}
        return Config(config | sizes | {"attention": name_of(new)})

    @property
    def fingerprint(self) -> str:
        """Changes with anything that its losses depend on."""
        told = {"corpus": self.corpus, "weights": self.weights, "preset": self.preset.facts, "seed": self.seed}
        case = [self.case.source, repr(self.case.conversion), self.case.setting]
        return hashlib.sha256(json.dumps([told, case], sort_keys=True).encode()).hexdigest()[:16]


def converted(case: Case) -> dict[str, Tensor]:
    """The source's tensors in float32, converted, by the names of a sibling's file."""
    model = checkpoint.load(SIBLINGS / case.source, torch.device("cpu"), torch.float32)
    moments = second_moments(model, calibration().passages) if case.conversion.calibrated else None
    new = convert_model(model, case.conversion, case.setting, moments)
    tensors = {f"layers.{i}.{name}": t for i, params in enumerate(new.layers) for name, t in params.items()}
    own = evaluate.read_params(SIBLINGS / case.source)
    return {name: own[name] for name in ("embedding.weight", "final_layernorm.weight")} | tensors


def healing(name: str, steps: int, corpus: str) -> Healing:
    """A case with its budget; raises UnknownNameError for a name that is none."""
    case: Case = lookup(CASES, name, "healing")
    preset = replace(PRESETS[PRESET], name="heal", steps=steps, warmup=min(WARMUP, steps), peak=PEAK, checkpoint=20)
    weights = hashlib.sha256((SIBLINGS / case.source / "model.safetensors").read_bytes()).hexdigest()
    return Healing(name, case, preset, corpus, weights)


def heal(asked: Healing, job: Job) -> dict[str, Any]:
    """Trains to the end of the budget, from the last checkpoint where there is one, and writes weights and card."""
    state = loop.begin(asked, job.machine, converted(asked.case))
    path = job.work / f"heal-{asked.name}.pt"
    before = _losses(asked, state, job)
    if path.exists():
        loop.resume(state, asked, path)
    rows = Later(job.prepared.train.stream, job.prepared.train.context, PRESETS[PRESET].steps)
    with tqdm(desc=asked.name, total=asked.preset.steps, initial=state.step, unit="step", mininterval=10) as bar:
        for _ in loop.train(state, asked, rows, job.machine, path):
            bar.set_postfix_str(f"loss {sum(state.losses[-20:]) / len(state.losses[-20:]):.3f}", refresh=False)
            bar.update()
    return _ship(asked, state, before, job)


def _losses(asked: Healing, state: State, job: Job) -> dict[str, Any]:
    # In half precision, as they are shipped, so that what was converted and what was healed are judged alike.
    halves = {name: t.detach().cpu().half().float() for name, t in state.params.items()}
    return evaluate.losses(asked.config, halves, job.prepared, asked.preset.valid)


def _ship(asked: Healing, state: State, before: dict[str, Any], job: Job) -> dict[str, Any]:
    case = asked.case
    told = {
        "source": case.source, "conversion": case.conversion.title, "setting": case.setting, "beside": case.beside,
        "share_of_pretraining_steps": round(asked.preset.steps / PRESETS[PRESET].steps, 4),
        "first_row_of": f"step {PRESETS[PRESET].steps} of the siblings' order",
        "converted": before,
    }  # fmt: skip
    card = ship.facts(asked, state, job) | told | _losses(asked, state, job)
    folder = Path(tempfile.mkdtemp(prefix=f".{asked.name}.", dir=job.output))
    try:
        if case.kept:
            weights = {name: t.detach().cpu().half().contiguous() for name, t in state.params.items()}
            files.write(folder / "model.safetensors", safetensors.torch.save(weights))
            files.write_json(folder / "config.json", asked.config)
        files.write_json(folder / "card.json", card)
        folder.chmod(0o755)
        folder.rename(job.output / asked.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return card


def _make(name: str, steps: int, job: Job, resume: bool) -> None:
    asked = healing(name, steps, job.prepared.sha256)
    with claimed(job.work / f"heal-{name}.lock") as mine:
        if not mine:
            print(f"{name}: another process is at it")
        elif (job.output / name / "card.json").exists():
            print(f"{name}: finished before")
        elif (job.work / f"heal-{name}.pt").exists() and not resume:
            raise TrainingError(f"{name} has unfinished work: add --resume to go on, or remove its checkpoint")
        else:
            card = heal(asked, job)
            told = card["converted"]["validation_loss"], card["validation_loss"]
            print(f"{name}: validation loss {told[0]:.4f} converted, {told[1]:.4f} after {steps} steps", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, or 2 after one line that says what went wrong."""
    options = _parser().parse_args(arguments)
    try:
        if options.threads:
            torch.set_num_threads(options.threads)
        job = _job(options)
        for name in options.only.split(",") if options.only else CASES:
            _make(name, options.steps, job, options.resume)
    except (HeadlightError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training: stopped; the same command with --resume goes on", file=sys.stderr)
        return 130
    return 0


def _job(options: argparse.Namespace) -> Job:
    if options.steps < 1:
        raise TrainingError(f"--steps ({options.steps}) must be 1 or more")
    work = options.work or ROOT / "training" / "runs" / PRESET
    prepared = prepare(PRESETS[PRESET], work, options.corpus, options.valid)
    _check(prepared)
    options.output.mkdir(parents=True, exist_ok=True)
    machine = Machine(pick_device(options.device), getattr(torch, options.precision))
    told = ["--steps", str(options.steps), "--precision", options.precision]
    command = shlex.join(["python", "-m", "training.heal", *told])
    return Job(prepared, machine, command, work, options.output, evaluate.COREF)


def _check(prepared: Prepared) -> None:
    if (SIBLINGS / "tokenizer.json").read_bytes() != prepared.tokenizer.read_bytes():
        raise TrainingError("the texts give another tokenizer than the siblings have; they are not the ones trained on")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.heal", description=__doc__)
    parser.add_argument("--corpus", type=Path, metavar="FILE", help="the text that the siblings learnt from")
    parser.add_argument("--valid", type=Path, metavar="FILE", help="the text to judge on")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimiser steps ({STEPS}: a tenth of pretraining)")
    parser.add_argument("--only", metavar="NAMES", help=f"heal these alone, of {', '.join(CASES)}")
    parser.add_argument("--resume", action="store_true", help="go on where an earlier run was stopped")
    parser.add_argument("--output", type=Path, default=HEALED, metavar="FOLDER")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="tokens and checkpoints (training/runs/small)")
    parser.add_argument("--device", help="cpu, cuda or mps; the best there is otherwise")
    parser.add_argument("--threads", type=int, help="threads of this process (torch decides otherwise)")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="float32")
    return parser


if __name__ == "__main__":
    sys.exit(main())
