"""Profiles and experiments of long texts, made a layer at a time beside other work and handed on as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from headlight.core.long.beyond import FACTOR, GAPS, PASSAGE, by_position, over_gaps
from headlight.core.long.profile import Profile, binned, profile, scores, spread, uniform
from headlight.core.long.reading import Reading
from headlight.core.model import Model
from headlight.core.serving.readings import ReadingStore

QUERIES = 512  # tokens whose rows stand for the text where all heads of all layers are measured
BINS = 96  # positions that a curve over a text is drawn at
Progress = Callable[[float], object]


@dataclass(frozen=True)
class HeadCurves:
    """Curves of one layer's heads. position (bins,) and first (n_heads, bins): the weight on the first token over the text;
    distance (bins,) and weight (n_heads, bins): the mean weight at a distance; alike (bins,): that of a head which looks at all
    tokens alike.
    """

    position: np.ndarray
    first: np.ndarray
    distance: np.ndarray
    weight: np.ndarray
    alike: np.ndarray


def head_curves(readings: ReadingStore, key: str, reading: Reading, layer: int) -> HeadCurves:
    """The curves of a layer, over all its queries."""

    def make() -> Profile:
        return profile(reading.model.attention, readings.projections(key, reading, layer), reading.tokens.ids)

    made: Profile = readings.made((key, "profile", layer), lambda found: found.nbytes, make)
    middle, first = _along(made.queries[1:], made.first[:, 1:])
    distance, weight = binned(made.by_distance, made.pairs)
    alike = binned((uniform(made) * made.pairs)[None], made.pairs)[1][0]
    return HeadCurves(*(t.float().cpu().numpy() for t in (middle, first, distance, weight, alike)))


def _along(at: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Means over neighbouring positions, at most BINS of them."""
    size = -(-len(at) // BINS) or 1
    means = [part.mean(-1) for part in values.split(size, dim=-1)]
    return torch.stack([part.double().mean() for part in at.split(size)]), torch.stack(means, dim=-1)


def all_scores(readings: ReadingStore, key: str, reading: Reading, progress: Progress) -> np.ndarray:
    """(scores, n_layers, n_heads) of every head, from QUERIES tokens spread over the text; a layer at a time."""
    layers = []
    for layer in range(reading.model.n_layers):
        layers.append(readings.made((key, "scores", layer), lambda t: t.nbytes, lambda at=layer: _scores(reading, at)))  # type: ignore[misc]
        progress((layer + 1) / reading.model.n_layers)
    return np.stack(layers, axis=1)


def _scores(reading: Reading, layer: int) -> np.ndarray:
    queries = spread(len(reading.tokens), QUERIES)
    made = profile(reading.model.attention, reading.projections(layer), reading.tokens.ids, queries)
    return np.asarray(scores(made).cpu().numpy())


def longer(
    readings: ReadingStore, model: Model, text: str, times: int, progress: Progress
) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """Middle positions of bins, and way -> mean loss there, for texts `times` as long as the model's own context."""
    length = times * model.context
    ids = model.tokenizer.encode(text).ids

    def make() -> Mapping[str, torch.Tensor]:
        return by_position(model, ids, length, progress, readings.turn())

    made = readings.made(("beyond", model.name, times, hash(text)), _nbytes, make, alone=False)
    size = length // 32
    at = np.array([(start + min(start + size, length - 1)) / 2 + 1 for start in range(0, length - 1, size)])
    return at, {name: np.array([float(part.mean()) for part in rows.split(size)]) for name, rows in made.items()}


def gaps(
    readings: ReadingStore, model: Model, text: str, progress: Progress
) -> tuple[np.ndarray, Mapping[str, np.ndarray], float]:
    """The gaps, way -> mean loss of a passage's second reading after each, and the loss of its first reading."""
    ids = model.tokenizer.encode(text).ids[:PASSAGE]

    def make() -> tuple[Mapping[str, torch.Tensor], float]:
        return over_gaps(model, ids, GAPS, FACTOR, progress, readings.turn())

    made, first = readings.made(("gaps", model.name, ids), lambda found: _nbytes(found[0]), make, alone=False)
    return np.array(GAPS), {name: losses.numpy() for name, losses in made.items()}, first


def gaps_known(readings: ReadingStore, model: Model, text: str) -> bool:
    """Whether `gaps` answers at once."""
    return readings.knows(("gaps", model.name, model.tokenizer.encode(text).ids[:PASSAGE]))


def _nbytes(found: Mapping[str, torch.Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in found.values())
