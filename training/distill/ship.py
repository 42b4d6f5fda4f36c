"""A distilled variant as a folder of assets: tensors in half precision, configuration and card, all or nothing."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from headlight.core.analysis import referent
from headlight.core.checkpoints import variant
from headlight.core.model import Model
from headlight.core.surgery.held_out import Evaluation, held_out, held_out_news
from training import files
from training.distill.loop import BETAS, CLIP, FLOOR, UP, Run, State
from training.distill.starts import Start
from training.loop import Machine
from training.ship import curve, hardware

TEXTS = {"held-out": held_out, "held-out news": held_out_news}
_CPU = Machine(torch.device("cpu"), torch.float32)


def ship(run: Run, state: State, decay: int, command: str, output: Path) -> dict[str, Any]:
    """Writes a decayed state to `output`/NAME in place of what was there, and returns its card."""
    output.mkdir(parents=True, exist_ok=True)
    card = facts(run, state, decay, command) | {"as_trained": as_trained(run), "converted": converted(run)}
    temporary = Path(tempfile.mkdtemp(prefix=f".{run.recipe.name}.", dir=output))
    try:
        write(run.teacher, run.start, state.tensors, temporary)
        card["healed"] = values(run.teacher, temporary)
        card["referent"] = looks(run.teacher, run.start, temporary)
        card["megabytes"] = round((temporary / "model.safetensors").stat().st_size / 1e6, 2)
        files.write_json(temporary / "card.json", card)
        temporary.chmod(0o755)
        _put(temporary, output / run.recipe.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return card


def write(base: Model, start: Start, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Tensors in half precision and config.json."""
    halves = {name: t.detach().half().contiguous() for name, t in tensors.items()}
    files.write(folder / "model.safetensors", safetensors.torch.save(halves))
    config = variant.config_of(base.name, start.attention, start.position)
    files.write_json(folder / "config.json", config)


def values(base: Model, folder: Path) -> dict[str, float]:
    """What the variant in a folder reaches on both held-out texts, as it is shipped."""
    model = variant.load(folder, base)
    return {title: round(Evaluation.of(base, text()).value(model), 4) for title, text in TEXTS.items()}


def looks(base: Model, start: Start, folder: Path) -> dict[str, dict[str, float]]:
    """The weight from "it" to "animal" in the heads of `referent.HEADS`: as trained, converted, and in a folder."""
    with tempfile.TemporaryDirectory() as place:
        write(base, start, start.tensors, Path(place))
        models = {
            "as_trained": base,
            "converted": variant.load(Path(place), base),
            "healed": variant.load(folder, base),
        }
    found = {title: referent.weights(model, base.name) for title, model in models.items()}
    return {title: {head: round(weight, 4) for head, weight in row.items()} for title, row in found.items()}


def as_trained(run: Run) -> dict[str, float]:
    """What the original reaches; measured once."""
    own = run.teacher
    return _once(
        run.work / f"{own.name}.json",
        lambda: {title: round(Evaluation.of(own, text()).own, 4) for title, text in TEXTS.items()},
    )


def converted(run: Run) -> dict[str, float]:
    """What the conversion reaches before anything is trained; measured once."""

    def measure() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            write(run.teacher, run.start, run.start.tensors, Path(folder))
            return values(run.teacher, Path(folder))

    return _once(run.work / run.recipe.name / "converted.json", measure)


def facts(run: Run, state: State, decay: int, command: str) -> dict[str, Any]:
    """What a card says before anything is measured."""
    recipe, own = run.recipe, run.teacher.attention.cached_elements_per_token()
    return {
        "name": recipe.name, "model": recipe.model, "variant": recipe.variant, "conversion": recipe.how,
        "matched": recipe.matched, "cached_elements_per_token_and_layer": run.start.attention.cached_elements_per_token(),
        "cached_elements_of_the_original": own, "parameters": sum(t.numel() for t in state.tensors.values()),
        "trained": "attention parameters alone", "steps": state.step, "tokens": state.tokens,
        "layerwise_steps": min(recipe.layer_steps, state.step), "decay_steps": decay, "seconds": round(state.seconds),
        "hardware": hardware(_CPU), "precision": "trained in float32, shipped and measured in float16",
        "optimiser": {
            "name": "AdamW", "betas": BETAS, "clipped_norm": CLIP, "weight_decay": 0.0, "peak_learning_rate": recipe.peak,
            "layerwise_peak": recipe.layer_peak, "warmup_steps": recipe.warmup, "factor_of_low_rank_ups": UP,
            "schedule": f"warm-up, constant, linear to {FLOOR:g} of the peak in the last {decay} steps",
        },
        "corpus": {"file": run.reading.corpus, "sha256": run.reading.sha256},
        "held_out_check": (
            "no stretch of the corpus that was read shares 8 words in a row with a held-out text; "
            f"stretches left out because they did: {run.reading.dropped}"
        ),
        "control": "the original distilled from itself has no loss and stays as it was trained",
        "measure": "cosine of sentence embeddings to the original's" if run.teacher.head is None else "perplexity",
        "command": command, "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "loss_curve": curve(state.losses),
    }  # fmt: skip


def _once(path: Path, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    if not path.exists():
        files.write_json(path, measure())
    return dict(json.loads(path.read_text("utf-8")))


def _put(temporary: Path, place: Path) -> None:
    # The old folder goes aside first: a directory cannot take the place of one that is not empty.
    aside = temporary.with_name(temporary.name + ".old")
    if place.exists():
        place.rename(aside)
    temporary.rename(place)
    shutil.rmtree(aside, ignore_errors=True)
