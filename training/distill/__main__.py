"""Convert a pretrained model to another attention variant and distil it from what it was, in rounds:

    python -m training.distill --model smollm2 --variant mqa --corpus FILE --work FOLDER --constant 600 --decay 150 --resume

A round trains at a constant rate up to step `--constant` and then, on a copy, `--decay` steps down to nothing; the copy is
shipped. A later round with a larger --constant goes on where the constant phase ended. Killed at any moment, the same command
with --resume goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from headlight.core.checkpoints import variant
from headlight.core.errors import HeadlightError, TrainingError, lookup
from headlight.core.model import Model
from headlight.core.registry import MODELS
from headlight.core.surgery.calibration import second_moments
from headlight.core.surgery.held_out import calibration
from training import files
from training.distill import loop, reading, ship
from training.distill.loop import Run, State
from training.distill.reading import Reading
from training.distill.recipes import Recipe, recipe
from training.distill.starts import Start
from training.text.prepare import claimed

STEPS = 4000  # batches that are prepared; a longer run reads them again
CPU = torch.device("cpu")


def prepared(it: Recipe, corpus: Path, work: Path) -> Run:
    """The original, its conversion and the batches, those made before taken from `work`."""
    teacher: Model = lookup(MODELS, it.model, "model").load(CPU, torch.float32, None)
    read = _kept(work / f"{it.model}-batches.pt", lambda: vars(_read(it, teacher, corpus)))
    start = _kept(work / it.name / "start.pt", lambda: vars(started(it, teacher)))
    return Run(it, teacher, Start(**start), Reading(**read), work)


def _read(it: Recipe, teacher: Model, corpus: Path) -> Reading:
    if it.matched == "distributions":
        return reading.rows(teacher, corpus, it.length, it.together, STEPS)
    return reading.sentences(teacher, corpus, it.length, it.together, STEPS)


def started(it: Recipe, teacher: Model) -> Start:
    """The conversion that a variant begins with, calibrated on the text for that."""
    # An encoder is used on sentences, each between its special tokens, so it is calibrated on them.
    text = calibration().sentences if teacher.head is None else calibration().passages
    return it.start(teacher, second_moments(teacher, text))


def _kept(path: Path, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    if not path.exists():
        buffer = io.BytesIO()
        torch.save(dict(make()), buffer)
        files.write(path, buffer.getvalue())
    # Ours, with dataclasses of core in it: the folder is the one that this command writes.
    return dict(torch.load(path, weights_only=False))


def distil(run: Run, constant: int, decay: int, resume: bool) -> State:
    """A decayed state: the constant phase up to its step, then a copy down to a rate of nearly 0."""
    folder = run.work / run.recipe.name
    state = _begun(run, folder / "constant.pt", resume)
    if state.step > constant:
        raise TrainingError(f"{run.recipe.name} is at step {state.step} already: --constant must be as large at least")
    _go(run, state, folder / "constant.pt", constant, 0)
    path = folder / f"decay-{constant}-{decay}.pt"
    copied = _begun(run, path, resume) if path.exists() else loop.branch(state)
    _go(run, copied, path, constant, decay)
    return copied


def _begun(run: Run, path: Path, resume: bool) -> State:
    if path.exists() and not resume:
        raise TrainingError(f"there is unfinished work in {path}: add --resume to go on, or remove it")
    return loop.resume(run, path) if path.exists() else loop.begin(run)


def _go(run: Run, state: State, path: Path, constant: int, decay: int) -> None:
    first, seconds, tokens = state.step, state.seconds, state.tokens
    for each in loop.train(run, state, path, constant, decay):
        done = each.step - first
        if done % 10 and each.step < constant + decay:
            continue
        pace, left = (each.seconds - seconds) / done, constant + decay - each.step
        loss = sum(each.losses[-10:]) / len(each.losses[-10:])
        print(
            f"{run.recipe.name} step {each.step}/{constant + decay} · loss {loss:.4f} · {each.tokens:,} tokens · "
            f"{(each.tokens - tokens) / (each.seconds - seconds):.0f} a second · {pace * left / 60:.1f} minutes left",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, or 2 after one line that says what went wrong."""
    options = _parser().parse_args(arguments)
    try:
        it = recipe(options.model, options.variant)
        with claimed(options.work / f"{it.name}.lock") as mine:
            if not mine:
                raise TrainingError(f"another process is at {it.name}")
            _make(it, options)
    except (HeadlightError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    return 0


def _make(it: Recipe, options: argparse.Namespace) -> None:
    done = options.work / it.name / f"shipped-{options.constant}-{options.decay}"
    if done.exists():
        print(f"{it.name}: this round was finished before")
        return
    run = prepared(it, options.corpus, options.work)
    print(f"{it.name}: {ship.as_trained(run)} as trained, {ship.converted(run)} converted", flush=True)
    state = distil(run, options.constant, options.decay, options.resume)
    card = ship.ship(run, state, options.decay, _command(options), options.output)
    files.write(done, b"")
    print(f"{it.name}: {card['healed']} healed on {card['tokens']:,} tokens, {card['megabytes']} MB", flush=True)


def _command(options: argparse.Namespace) -> str:
    told = ["--model", options.model, "--variant", options.variant, "--corpus", options.corpus.name]
    told += ["--constant", str(options.constant), "--decay", str(options.decay)]
    return shlex.join(["python", "-m", "training.distill", *told])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.distill", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="minilm or smollm2")
    parser.add_argument("--variant", required=True, help="gqa, mqa, mla or latent")
    parser.add_argument("--corpus", type=Path, required=True, metavar="FILE", help="UTF-8 text, plain or .xz")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="batches and checkpoints")
    parser.add_argument("--constant", type=int, required=True, help="steps before the rate falls")
    parser.add_argument("--decay", type=int, required=True, help="steps in which it falls")
    parser.add_argument("--resume", action="store_true", help="go on where an earlier run was stopped")
    parser.add_argument("--output", type=Path, default=variant.FOLDER, metavar="FOLDER")
    return parser


if __name__ == "__main__":
    sys.exit(main())
