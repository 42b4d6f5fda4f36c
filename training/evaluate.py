"""What the shipped siblings can do: `python -m training.evaluate` measures them again and prints the table.

Everything is measured on the weights as they are shipped (half precision, computed in float32), so that anybody gets the
same numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from headlight.core.checkpoints import sibling as checkpoint
from headlight.core.checkpoints.folder import Config, Weights, read_config
from headlight.core.decoding import continue_text
from headlight.core.errors import HeadlightError, TrainingError
from headlight.core.model import Model
from headlight.core.tokenizer import Tokenizer
from training import files
from training.measures import heads, pronouns, repeated, templates
from training.measures.trigram import Trigram
from training.model import Network
from training.presets import SEEDS, SPREAD, Preset, budget, siblings
from training.text.corpus import KINDS
from training.text.prepare import Prepared, prepare
from training.text.tokens import START

ROOT = Path(__file__).resolve().parent.parent
COREF = ROOT / "assets" / "coref"
SAMPLE = 16  # validation rows that are shipped, so that a test can check a card without the corpus
OPENINGS = ("Once upon a time", "The old man looked at the sea and said", "My sister has a dog.")
WARMTH, SAMPLED = 0.7, range(5)  # temperature and seeds of the sampled texts
_CPU = torch.device("cpu")
_TOGETHER = 8  # rows in one forward pass
_CONTINUED = 80  # tokens of a sample text


def measure(folder: Path, prepared: Prepared, valid: int, coref: Path = COREF) -> dict[str, Any]:
    """Losses (nats per token), scores of all heads (0-1), pronouns and samples of one shipped sibling.

    valid: validation rows at most; coref: the folder of the pronoun sets.
    """
    config = read_config(folder)
    model = checkpoint.load(folder, _CPU, torch.float32)
    sample, params = sample_rows(prepared), read_params(folder)
    rows = sample[:, :-1].tolist()
    return losses(config, params, prepared, valid) | {
        "repeated_passage": round(repeated.advantage(partial(token_losses, config, params), sample), 4),
        "templates": answers(config, params, model.tokenizer),
        "heads": {
            "previous_token": _rounded(heads.previous_token(model, rows)),
            "induction": _rounded(heads.induction(model, config["vocab_size"])),
        },
        "pronouns": {name: _found(model, items) for name, items in pronouns.read(coref).items()},
        "samples": samples(model),
    }


def answers(config: Config, params: Mapping[str, Tensor], tokenizer: Tokenizer) -> dict[str, Any]:
    """What the model knows of English by the sets of `templates`: share of right answers (0-1), items, error, chance."""
    network, found = Network(config), {}

    def logits(ids: Tensor, rows: Tensor, places: Tensor) -> Tensor:
        return F.linear(network.hidden(params, ids)[rows, places], params["embedding.weight"])

    for name, make in templates.SETS.items():
        share = templates.share(tokenizer, logits, make())
        error = round(share.standard_error, 4)
        found[name] = asdict(share) | {"standard_error": error, "chance": templates.CHANCE}
    return found


def losses(config: Config, params: Mapping[str, Tensor], prepared: Prepared, valid: int) -> dict[str, Any]:
    """The validation loss, also by kind of text, what it was measured on, and the loss on the rows that are shipped as a
    sample."""
    by_kind = losses_by_kind(config, params, prepared, valid)
    return {
        "validation_loss": by_kind["all"],
        "loss_by_kind": by_kind,
        "validation_tokens": len(prepared.valid.spread(valid)) * prepared.valid.context,
        "sample_loss": round(mean_loss(config, params, *prepared.valid.batch(prepared.valid.spread(SAMPLE))), 4),
    }


def losses_by_kind(config: Config, params: Mapping[str, Tensor], prepared: Prepared, valid: int) -> dict[str, float]:
    """The mean loss (nats per token) on validation rows: "all", and those of each kind of text that has any."""
    rows = prepared.valid.spread(valid)
    found = token_losses(config, params, *prepared.valid.batch(rows)).view(len(rows), -1).mean(1)
    kinds = torch.from_numpy(prepared.valid_kinds[rows])
    told = {"all": found} | {kind: found[kinds == index] for index, kind in enumerate(KINDS)}
    return {kind: round(float(mine.mean()), 4) for kind, mine in told.items() if len(mine)}


def mean_loss(
    config: Config, params: Mapping[str, Tensor], inputs: Int[Tensor, "rows seq"], targets: Int[Tensor, "rows seq"]
) -> float:
    """Mean cross-entropy in nats per token, computed in the precision of the parameters."""
    return float(token_losses(config, params, inputs, targets).mean())


@torch.inference_mode()
def token_losses(
    config: Config, params: Mapping[str, Tensor], inputs: Int[Tensor, "rows seq"], targets: Int[Tensor, "rows seq"]
) -> Float[Tensor, " tokens"]:
    """Cross-entropy of every token in nats, row after row, computed in the precision of the parameters."""
    network = Network(config)
    pieces = zip(inputs.split(_TOGETHER), targets.split(_TOGETHER), strict=True)
    return torch.cat([_losses(network.logits(params, x), y) for x, y in pieces]).double()


def _losses(logits: Float[Tensor, "rows seq vocab_size"], targets: Int[Tensor, "rows seq"]) -> Float[Tensor, " tokens"]:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")


def read_params(folder: Path) -> dict[str, Tensor]:
    """The weights of a shipped sibling in float32, by the names of its file."""
    weights = Weights.from_file(folder / "model.safetensors", _CPU, torch.float32)
    return {name: weights[name] for name in checkpoint.shapes(read_config(folder))}


def sample_rows(prepared: Prepared) -> Int[Tensor, "rows seq"]:
    """The validation rows that are shipped, without START."""
    return prepared.valid.batch(prepared.valid.spread(SAMPLE))[1]


def samples(model: Model) -> dict[str, str]:
    """How to choose -> what the model writes on from OPENINGS: greedy, and all of SAMPLED for the first; none is picked."""
    sampled = {
        f"sampled at temperature {WARMTH}, seed {seed}": write_on(model, OPENINGS[0], WARMTH, seed) for seed in SAMPLED
    }
    others = {f"greedy: {opening}": write_on(model, opening, 0.0) for opening in OPENINGS[1:]}
    return {"greedy": write_on(model, OPENINGS[0], 0.0)} | others | sampled


def write_on(model: Model, opening: str, temperature: float, seed: int = 0) -> str:
    """The opening and what the model makes of it, up to where it ends the text itself."""
    ids = [step.id for step in continue_text(model, opening, min(_CONTINUED, model.context // 2), temperature, seed)]
    end = ids.index(START) if START in ids else len(ids)
    return opening + model.tokenizer.decode(ids[:end])


def _found(model: Model, items: list[pronouns.Item]) -> dict[str, Any]:
    found = pronouns.best_head(model, items)
    numbers = {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(found).items()}
    return {**numbers, "standard_error": round(found.spread, 4), "chance": pronouns.CHANCE}


def _rounded(scores: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in layer] for layer in scores.tolist()]


def table(output: Path, preset: Preset, prepared: Prepared) -> dict[str, Any]:
    """All siblings, the trigrams and the spread over seeds, from the cards in `output`; written to table.json too."""
    cards = [_card(output / s.name / "card.json") for s in siblings(preset, prepared.sha256) if not s.seed]
    seeds = [_card(path) for path in sorted((output / "seeds").glob("*.json"))]
    made = {
        "siblings": [_row(card) for card in cards],
        "baselines": baselines(preset, prepared),
        "seeds": _spread([card for card in cards if card["name"] == SPREAD] + seeds),
    }
    files.write_json(output / "table.json", made)
    return made


def _card(path: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"the card {path} cannot be read: {error}") from error
    return card


def _row(card: Mapping[str, Any]) -> dict[str, Any]:
    same = ("name", "parameters", "cached_elements_per_token_and_layer", "validation_loss", "tokens_seen", "seconds")
    best = {score: max(max(layer) for layer in scores) for score, scores in card["heads"].items()}
    right = {name: found["accuracy"] for name, found in card["pronouns"].items()}
    return {name: card[name] for name in same} | best | right


def baselines(preset: Preset, prepared: Prepared) -> list[dict[str, Any]]:
    """Trigrams on the tokens that a sibling reads, and on the whole corpus, judged on the same validation rows."""
    steps = [prepared.train.order(step, preset.batch, SEEDS[0]) for step in range(preset.steps)]
    read = {
        "trigram, the same tokens": np.concatenate(steps),
        "trigram, all of the corpus": np.arange(len(prepared.train)),
    }
    targets = prepared.valid.batch(prepared.valid.spread(preset.valid))[1].numpy()
    return [
        {
            "name": name,
            "validation_loss": round(float(_trigram(preset, prepared, rows).losses(targets).mean()), 4),
            "tokens_seen": len(rows) * preset.context,
        }
        for name, rows in read.items()
    ]


def _trigram(preset: Preset, prepared: Prepared, rows: np.ndarray) -> Trigram:
    return Trigram.learn(prepared.train.batch(rows)[1].numpy(), preset.vocab_size)


def _spread(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = [card["validation_loss"] for card in cards]
    deviation = round(float(np.std(found, ddof=1)), 4) if len(found) > 1 else None
    return {
        "of": SPREAD,
        "seeds": [c["seed"] for c in cards],
        "validation_loss": found,
        "standard_deviation": deviation,
    }


def markdown(made: Mapping[str, Any]) -> str:
    """The table as people read it."""
    head = ("sibling", "parameters", "cached per token per layer", "validation loss", "previous token", "induction",
            "Winogender", "WinoBias", "trained")  # fmt: skip
    rows = [_cells(row) for row in made["siblings"]]
    rows += [(f"*{b['name']}*", "", "", f"{b['validation_loss']:.3f}", *[""] * 5) for b in made["baselines"]]
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n" + _seeds(made["seeds"])


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["name"], f"{row['parameters']:,}", str(row["cached_elements_per_token_and_layer"]),
        f"{row['validation_loss']:.3f}", f"{row['previous_token']:.2f}", f"{row['induction']:.2f}",
        f"{row['winogender']:.0%}", f"{row['winobias']:.0%}", f"{row['seconds'] / 60:.0f} min",
    )  # fmt: skip


def _seeds(spread: Mapping[str, Any]) -> str:
    told = ", ".join(f"{loss:.3f}" for loss in spread["validation_loss"])
    deviation = (
        "" if spread["standard_deviation"] is None else f"; standard deviation {spread['standard_deviation']:.3f}"
    )
    return f"{spread['of']} from {len(spread['seeds'])} seed(s): {told}{deviation}."


def evaluate(output: Path, preset: Preset, prepared: Prepared, coref: Path, names: Iterable[str]) -> None:
    """Measures shipped siblings again and writes what is found to their cards."""
    if (output / "tokenizer.json").read_bytes() != prepared.tokenizer.read_bytes():
        raise TrainingError("the texts give another tokenizer than the siblings have; they are not the ones trained on")
    for name in names:
        card = output / name / "card.json"
        files.write_json(card, _card(card) | measure(output / name, prepared, preset.valid, coref))
        print(f"{name}: measured", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, or 2 after one line that says what went wrong."""
    options = _parser().parse_args(arguments)
    try:
        preset = budget(options.preset, options.tokens)
        work = options.work or ROOT / "training" / "runs" / options.preset
        prepared = prepare(preset, work, options.corpus, options.valid)
        every = [s.name for s in siblings(preset, prepared.sha256) if not s.seed]
        evaluate(options.output, preset, prepared, options.coref, options.only.split(",") if options.only else every)
        print(markdown(table(options.output, preset, prepared)))
    except (HeadlightError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--preset", default="small", help="the preset they were trained with")
    parser.add_argument("--tokens", type=int, help="the budget, where the command that trained them named one")
    parser.add_argument("--corpus", type=Path, metavar="FILE", help="the text that was learnt from (for the trigrams)")
    parser.add_argument("--valid", type=Path, metavar="FILE", help="the text to judge on")
    parser.add_argument("--only", metavar="NAMES", help="measure these alone; the table is made from all cards")
    parser.add_argument("--output", type=Path, default=ROOT / "assets" / "siblings", metavar="FOLDER")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="tokens (training/runs/PRESET)")
    parser.add_argument("--coref", type=Path, default=COREF, metavar="FOLDER", help="the pronoun sets")
    return parser


if __name__ == "__main__":
    sys.exit(main())
