"""Adds what *it* looks at to the cards of variants that were shipped before cards said it:

    python -m training.distill.looks [--work FOLDER]

The conversion that a variant began with is taken from the folder that `training.distill` worked in, else made again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from headlight import load_model
from headlight.core.checkpoints import variant
from headlight.core.errors import HeadlightError
from headlight.core.model import Model
from training import files
from training.distill.__main__ import started
from training.distill.recipes import recipe
from training.distill.ship import looks
from training.distill.starts import Start


def complete(folder: Path, base: Model, work: Path | None) -> None:
    """Writes the card of one variant anew, with `referent` in it."""
    card = variant.read_card(folder)
    kept = None if work is None else work / folder.name / "start.pt"
    if kept is not None and kept.exists():
        start = Start(**torch.load(kept, weights_only=False))  # our own file, with dataclasses of core in it
    else:
        start = started(recipe(card["model"], card["variant"]), base)
    card["referent"] = looks(base, start, folder)
    files.write_json(folder / "card.json", card)
    print(f"{folder.name}: {card['referent']}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, or 2 after one line that says what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m training.distill.looks", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where training.distill kept its checkpoints")
    parser.add_argument("--folder", type=Path, default=variant.FOLDER, metavar="FOLDER", help="of the variants")
    options = parser.parse_args(arguments)
    try:
        for path in sorted(options.folder.glob("*/card.json")):
            base = load_model(variant.read_card(path.parent)["model"], "cpu")
            if isinstance(base, Model):
                complete(path.parent, base, options.work)
    except HeadlightError as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
