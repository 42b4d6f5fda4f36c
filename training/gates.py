"""Short comparisons that decide the recipe before the large spend: `python -m training.gates --corpus FILE --valid FILE`.

Each gate is one run that differs from another in one thing. What is finished is skipped, what was stopped goes on, and every
result is appended to gates.json in the work folder; `training/EXPERIMENTS.md` tells what came out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from headlight.core.checkpoints import sibling as checkpoint
from headlight.core.errors import HeadlightError, TrainingError, lookup
from headlight.core.loading import pick_device
from training import evaluate, files, loop, run
from training.loop import Machine, State
from training.measures import heads
from training.presets import PRESETS, Preset, Sibling
from training.text.prepare import Prepared, claimed, locked, prepare

BEST = "best"  # stands for the mixes' winner at the smaller budget
INITIALISATION: Mapping[str, Any] = {"embedding_multiplier": 3.5, "embedding_mean": 1.0}
_MIXES = {"twice": (1.0, 2.0, 2.0), "sentences": (1.0, 2.0, 4.0), "few-books": (0.5, 2.0, 2.0)}


@dataclass(frozen=True)
class Gate:
    """One run: a sibling and what its preset is changed in; beside: the gate that it is to be compared with."""

    variant: str
    encoding: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    beside: str | None = None

    def sibling(self, preset: Preset, tokens: int, corpus: str) -> Sibling:
        """What is trained: `preset` on `tokens` tokens, with the changes."""
        return Sibling(replace(preset.at(tokens), **self.changes), self.variant, self.encoding, corpus)


def _pair(variant: str, encoding: str) -> dict[str, Gate]:
    plain = f"{variant}-{encoding}"
    return {f"{plain}-init": Gate(variant, encoding, INITIALISATION, plain), plain: Gate(variant, encoding)}


# In the order in which they are run: what decides most comes first.
GATES: Mapping[str, Gate] = {
    **_pair("mha", "rope"),
    **_pair("mla", "rope"),
    **_pair("gqa", "rope"),
    **{
        f"mix-{name}": Gate("mha", "rope", {**INITIALISATION, "mix": mix}, "mha-rope-init")
        for name, mix in _MIXES.items()
    },
    "half-rate": Gate("mha", "rope", {**INITIALISATION, "peak": 2e-3}, "mha-rope-init"),
    "cosine": Gate("mha", "rope", {**INITIALISATION, "schedule": "cosine", "decay": 0}, "mha-rope-init"),
    **_pair("mha", "none"),
    **_pair("mqa", "rope"),
}


@dataclass(frozen=True, eq=False)
class Job:
    """What all gates of one command have in common."""

    preset: Preset
    tokens: int
    work: Path
    texts: tuple[Path | None, Path | None]
    machine: Machine

    def prepared(self, sibling: Sibling | None = None) -> Prepared:
        """Rows and tokenizer, mixed as the sibling's preset says."""
        return prepare(sibling.preset if sibling else self.preset, self.work, *self.texts)

    def results(self) -> list[dict[str, Any]]:
        """What gates.json holds."""
        path = self.work / "gates.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else []

    def row(self, name: str, tokens: int | None = None) -> dict[str, Any] | None:
        """The result of a gate at a budget (this job's), if it is finished."""
        wanted = (name, tokens or self.tokens)
        return next((row for row in self.results() if (row["gate"], row["asked_tokens"]) == wanted), None)


def best(rows: Sequence[Mapping[str, Any]]) -> str:
    """The gate of mha-rope whose loss, averaged over kinds of text, is lowest at the smallest budget there is."""
    smallest = min((row["asked_tokens"] for row in rows), default=0)
    mine = [row for row in rows if row["asked_tokens"] == smallest and GATES[row["gate"]].variant == "mha"
            and GATES[row["gate"]].encoding == "rope"]  # fmt: skip
    if not mine:
        raise TrainingError("no gate of mha-rope is finished, so there is no best one; run the gates first")
    return min(mine, key=lambda row: row["mean_over_kinds"])["gate"]


def run_gate(name: str, job: Job) -> None:
    """Trains and measures one gate, unless that is done or another process is at it."""
    with claimed(job.work / f"gate-{name}.lock") as mine:
        if not mine:
            print(f"{name}: another process is at it", flush=True)
        elif job.row(name):
            print(f"{name}: finished before", flush=True)
        else:
            _append(_train(name, job), job)


def _train(name: str, job: Job) -> dict[str, Any]:
    sibling = GATES[name].sibling(job.preset, job.tokens, job.prepared().sha256)
    prepared, folder = job.prepared(sibling), job.work / name
    state = loop.begin(sibling, job.machine)
    with run.progress(sibling) as bar:
        for _ in loop.train_stage(state, sibling, prepared.train, job.machine, folder):
            run.show(bar, state, sibling)
    return {"gate": name, "asked_tokens": job.tokens, **measured(sibling, state, prepared, folder)}


def measured(sibling: Sibling, state: State, prepared: Prepared, folder: Path) -> dict[str, Any]:
    """Losses in all and by kind, the best heads and the speed of a finished run, in half precision; keeps its weights."""
    _write_model(sibling, state, prepared, folder / "weights")
    params = {name: t.float() for name, t in loop.halves(state).items()}
    model = checkpoint.load(folder / "weights", torch.device("cpu"), torch.float32)
    losses = evaluate.losses_by_kind(sibling.config, params, prepared, sibling.preset.valid)
    rows = evaluate.sample_rows(prepared)[:, :-1].tolist()
    return {
        "tokens": sibling.preset.tokens,
        "changes": {name: getattr(sibling.preset, name) for name in ("schedule", "peak", "mix", *INITIALISATION)},
        "validation_loss": losses.pop("all"),
        "by_kind": losses,
        "mean_over_kinds": round(sum(losses.values()) / len(losses), 4),
        "previous_token": _best_head(heads.previous_token(model, rows)),
        "induction": _best_head(heads.induction(model, sibling.preset.vocab_size)),
        "cpu_seconds": round(state.cpu_seconds),
        "tokens_per_cpu_second": round(sibling.preset.tokens / state.cpu_seconds),
        "seconds": round(state.seconds),
    }


def _best_head(scores: Tensor) -> dict[str, float]:
    layer, head = divmod(int(scores.argmax()), scores.shape[1])
    return {"score": round(float(scores.max()), 4), "layer": layer, "head": head}


def _write_model(sibling: Sibling, state: State, prepared: Prepared, folder: Path) -> None:
    files.write(folder / "model.safetensors", safetensors.torch.save(loop.halves(state)))
    files.write_json(folder / "config.json", sibling.config)
    files.write(folder / "tokenizer.json", prepared.tokenizer.read_bytes())


def _append(row: dict[str, Any], job: Job) -> None:
    with locked(job.work / "gates.json.lock"):
        files.write_json(job.work / "gates.json", [*job.results(), row])
    print(told(row, job), flush=True)


def told(row: Mapping[str, Any], job: Job) -> str:
    """A result as one line, with the difference to the gate that it is to be compared with."""
    beside = GATES[row["gate"]].beside
    other = job.row(beside) if beside else None
    difference = f", {row['validation_loss'] - other['validation_loss']:+.4f} to {beside}" if other else ""
    kinds = ", ".join(f"{kind} {loss:.3f}" for kind, loss in row["by_kind"].items())
    return (
        f"{row['gate']}, {row['tokens'] / 1e6:.1f}M tokens: {row['validation_loss']:.4f} ({kinds}){difference}; "
        f"previous token {row['previous_token']['score']:.2f}, induction {row['induction']['score']:.3f}; "
        f"{row['tokens_per_cpu_second']:,} tokens a CPU second"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, or 2 after one line that says what went wrong."""
    options = _parser().parse_args(arguments)
    try:
        if options.threads:
            torch.set_num_threads(options.threads)
        job = _job(options)
        for name in _names(options.only, job):
            run_gate(name, job)
    except (HeadlightError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training: stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


def _names(only: str | None, job: Job) -> list[str]:
    if only == BEST:
        return [best(job.results())]
    names = only.split(",") if only else list(GATES)
    for name in names:
        lookup(GATES, name, "gate")
    return names


def _job(options: argparse.Namespace) -> Job:
    preset = lookup(PRESETS, options.preset, "preset")
    machine = Machine(pick_device(options.device), getattr(torch, options.precision), options.compile)
    return Job(preset, options.tokens, options.work, (options.corpus, options.valid), machine)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.gates", description=__doc__)
    parser.add_argument("--preset", default="small", help="sizes, batch and rate that the gates change")
    run.add_texts(parser)
    parser.add_argument("--tokens", type=int, default=2_000_000, help="budget of every gate")
    parser.add_argument(
        "--only", metavar="NAMES", help=f"these alone, of {', '.join(GATES)}; or {BEST}: mha-rope's best"
    )
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="tokens, checkpoints, gates.json")
    run.add_machine(parser, precision="float32")
    return parser


if __name__ == "__main__":
    sys.exit(main())
