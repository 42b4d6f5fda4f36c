"""Maps and rows of a long text, made where the model is and handed to the page as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headlight.core.long.pooling import Pooled, Region, pool
from headlight.core.long.reading import Reading
from headlight.core.serving.readings import ReadingStore
from headlight.viz.components.deep_map import Tile
from headlight.viz.pages.long.choices import Viewport

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 64  # cells each way of a small map
OVERVIEW = 128  # cells each way of what lies under the sharp part


def tile(
    readings: ReadingStore, key: str, reading: Reading, layer: int, head: int, part: Viewport, cell: int, shows: str
) -> Tile:
    """Part of one head's map in cells: the largest weight of each, or the share of attention that falls there.

    The share is the mean over a cell's queries of the weight on its keys.
    """

    def make() -> Pooled:
        p = readings.projections(key, reading, layer)
        return pool(reading.model.attention, p, Region(part[:2], part[2:], cell), [head], strongest=cell > 1)

    made: Pooled = readings.made((key, "tile", layer, head, part, cell), lambda cells: cells.nbytes, make)
    strongest = None if made.strongest is None else _array(made.strongest[0])
    values = made.mass if shows == "mass" else made.largest
    return Tile(part, cell, _array(values[0]), _array(made.allowed) > 0, _array(made.largest[0]), strongest)


def overview(whole: Tile) -> Tile:
    """A tile of all the map made coarser: the largest value of the cells that come together."""
    times = -(-max(whole.values.shape) // OVERVIEW)
    return Tile(whole.part, whole.cell * times, _coarser(whole.values, times), _coarser(whole.allowed, times))


def _coarser(cells: np.ndarray, times: int) -> np.ndarray:
    rows, cols = cells.shape
    padded = np.pad(cells, ((0, -rows % times), (0, -cols % times)))
    blocks = padded.reshape(padded.shape[0] // times, times, padded.shape[1] // times, times)
    return np.asarray(blocks.max((1, 3)))


def small_maps(
    readings: ReadingStore, key: str, reading: Reading, layer: int, shows: str
) -> tuple[np.ndarray, np.ndarray]:
    """All heads of a layer, SMALL cells each way at most: values (n_heads, rows, cols), and where looking is allowed."""
    length = len(reading.tokens)
    region = Region((0, length), (0, length), max(1, -(-length // SMALL)))

    def make() -> Pooled:
        return pool(reading.model.attention, readings.projections(key, reading, layer), region)

    made: Pooled = readings.made((key, "small", layer), lambda cells: cells.nbytes, make)
    return _array(made.mass if shows == "mass" else made.largest), _array(made.allowed) > 0


def one(
    readings: ReadingStore, key: str, reading: Reading, layer: int, head: int, token: int, looks: str
) -> tuple[np.ndarray, np.ndarray]:
    """A row ("at": where the token looks) or a column ("by": what looks at it) of one head's map, and what is allowed."""
    length = len(reading.tokens)
    sides = ((token, token + 1), (0, length))
    region = Region(*(sides if looks == "at" else sides[::-1]))

    def make() -> Pooled:
        return pool(reading.model.attention, readings.projections(key, reading, layer), region, [head])

    made: Pooled = readings.made((key, "one", layer, head, token, looks), lambda cells: cells.nbytes, make)
    return _array(made.largest[0]).ravel(), _array(made.allowed).ravel() > 0


def ramp_places(values: np.ndarray, colours: str, lowest: float = 1e-3) -> np.ndarray:
    """Places on the colour ramp, 0 to 255, as the browser-side parts give them (shared.js)."""
    places = values if colours == "linear" else 1 - np.log10(np.maximum(values, lowest)) / np.log10(lowest)
    return np.rint(255 * np.clip(places, 0, 1)).astype(np.uint8)


def few_colours(places: np.ndarray) -> np.ndarray:
    """The same in 32 colours, which small maps need no more of and which compress better."""
    return np.rint(np.rint(places / 255 * 31) / 31 * 255).astype(np.uint8)


def heads_said(values: np.ndarray) -> Sequence[str]:
    """One short text a head: its strongest cell."""
    return [f"largest {float(each.max()):.3f}" for each in values]


def _array(t: Tensor) -> np.ndarray:
    return np.asarray(t.float().cpu().numpy() if t.is_floating_point() else t.cpu().numpy())
