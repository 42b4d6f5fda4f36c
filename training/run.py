"""From a text to trained siblings: `python -m training.run --preset small --corpus FILE --valid FILE --resume`.

Started twice, two processes share the work: each takes the next sibling that nobody else is training. What is finished
is not touched again; what was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from headlight.core.errors import HeadlightError, TrainingError, lookup
from headlight.core.loading import pick_device
from training import evaluate, loop, ship
from training.loop import Machine, State
from training.presets import PRESETS, Sibling, budget, siblings
from training.ship import Job
from training.text.prepare import Prepared, claimed, prepare

ROOT = Path(__file__).resolve().parent.parent
_SMOOTH = 50  # steps whose mean loss the progress bar shows
_COMPILERS = ("g++", "clang++")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, or 2 after one line that says what went wrong."""
    options = _parser().parse_args(arguments)
    try:
        run(options)
    except (HeadlightError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training: stopped; the same command with --resume goes on", file=sys.stderr)
        return 130
    return 0


def run(options: argparse.Namespace) -> None:
    """Prepares, trains and ships what the options ask for."""
    job = _job(options)
    for sibling in _chosen(options, job.prepared):
        _make(sibling, job, options.resume)
    preset = budget(options.preset, options.tokens)
    if all(ship.finished(sibling, job.output) for sibling in siblings(preset, job.prepared.sha256)):
        print(evaluate.markdown(evaluate.table(job.output, preset, job.prepared)))


def _job(options: argparse.Namespace) -> Job:
    if options.threads:
        torch.set_num_threads(options.threads)
    preset = budget(options.preset, options.tokens)
    work = options.work or ROOT / "training" / "runs" / options.preset
    prepared = prepare(preset, work, options.corpus, options.valid)
    machine = Machine(pick_device(options.device), getattr(torch, options.precision), options.compile)
    if options.compile and machine.device.type == "cpu" and not any(map(shutil.which, _COMPILERS)):
        raise TrainingError("--compile needs a C++ compiler (g++ or clang++); training works without it, more slowly")
    command = shlex.join(["python", "-m", "training.run", *_told(options)])
    return Job(prepared, machine, command, work, options.output, options.coref)


def _told(options: argparse.Namespace) -> list[str]:
    # The command as a card shows it: without the folders of this machine.
    files = {name: getattr(options, name).name for name in ("corpus", "valid") if getattr(options, name)}
    tokens = {"tokens": str(options.tokens)} if options.tokens else {}
    words = {"preset": options.preset, **tokens, **files, "precision": options.precision}
    return [part for name, value in words.items() for part in (f"--{name}", value)] + ["--compile"] * options.compile


def _chosen(options: argparse.Namespace, prepared: Prepared) -> list[Sibling]:
    every = siblings(budget(options.preset, options.tokens), prepared.sha256)
    if not options.only:
        return every
    names = options.only.split(",")
    table = {sibling.name: sibling for sibling in every}
    return [lookup(table, name, "sibling") for name in names]


def _make(sibling: Sibling, job: Job, resume: bool) -> None:
    checkpoint = loop.checkpoint_file(sibling, job.work)
    with claimed(job.work / f"{sibling.name}.lock") as mine:
        if not mine:
            print(f"{sibling.name}: another process is at it")
        elif ship.finished(sibling, job.output):
            print(f"{sibling.name}: finished before")
        elif checkpoint.exists() and not resume:
            raise TrainingError(
                f"{checkpoint} holds unfinished work: add --resume to go on, or remove it to start anew"
            )
        else:
            card = ship.ship(sibling, _train(sibling, job), job)
            print(f"{sibling.name}: validation loss {card['validation_loss']:.4f} after {card['seconds'] / 60:.1f} min")


def _train(sibling: Sibling, job: Job) -> State:
    state = loop.begin(sibling, job.machine)
    with progress(sibling) as bar:
        for _ in loop.train_stage(state, sibling, job.prepared.train, job.machine, job.work):
            show(bar, state, sibling)
    return state


def show(bar: tqdm, state: State, sibling: Sibling) -> None:
    """The steps that are done, and the mean loss of the last ones."""
    recent = state.losses[-_SMOOTH:]
    bar.set_postfix_str(f"loss {sum(recent) / len(recent):.3f}", refresh=False)
    step = sibling.preset.batch * sibling.preset.context
    done = state.step * step
    if state.step and not bar.n:  # what a checkpoint held counts for no speed
        bar.n = bar.last_print_n = bar.initial = done - step
    bar.update(done - bar.n)


def progress(sibling: Sibling) -> tqdm:
    """A bar of tokens done, tokens per second and time left; a log file gets a line every half minute."""
    return tqdm(
        desc=sibling.name, total=sibling.preset.tokens, unit="tok", unit_scale=True, smoothing=0.02,
        mininterval=0.1 if sys.stderr.isatty() else 30.0, ascii=not sys.stderr.isatty(), dynamic_ncols=True,
    )  # fmt: skip


def add_texts(parser: argparse.ArgumentParser) -> None:
    """The options that say which texts are learnt from and judged on."""
    parser.add_argument("--corpus", type=Path, metavar="FILE", help="text to learn from, UTF-8, plain or .xz")
    parser.add_argument("--valid", type=Path, metavar="FILE", help="text to judge on, never learnt from")


def add_machine(parser: argparse.ArgumentParser, precision: str) -> None:
    """The options that say on what and how it is computed; `precision`: bfloat16 or float32, where none is asked for."""
    parser.add_argument("--device", help="cpu, cuda or mps; the best there is otherwise")
    parser.add_argument("--threads", type=int, help="threads of this process (torch decides otherwise)")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default=precision)
    parser.add_argument("--compile", action="store_true", help="torch.compile; faster, needs a C++ compiler on a CPU")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.run", description=__doc__)
    parser.add_argument("--preset", default="small", help=f"sizes and budget: {', '.join(PRESETS)}")
    parser.add_argument("--tokens", type=int, help="another budget, by warm-up, constant rate and decay")
    add_texts(parser)
    parser.add_argument("--resume", action="store_true", help="go on where an earlier run was stopped")
    parser.add_argument("--only", metavar="NAMES", help="train these alone, for example mha-rope,mla-rope")
    parser.add_argument("--output", type=Path, default=ROOT / "assets" / "siblings", metavar="FOLDER")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="tokens and checkpoints (training/runs/PRESET)")
    parser.add_argument("--coref", type=Path, default=evaluate.COREF, metavar="FOLDER", help="the pronoun sets")
    add_machine(parser, precision="bfloat16")
    return parser


if __name__ == "__main__":
    sys.exit(main())
