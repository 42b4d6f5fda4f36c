"""All heads of a layer as small pictures: places on the colour ramp, 8 bits a cell, at most 128 cells a side."""

from __future__ import annotations

import numpy as np

from headlight.core.types import Run
from headlight.viz.figures.explore.head_map import colour_top, visible_weights

SIDE = 128


def head_maps(result: Run, layer: int, *, skip_first: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Maps (n_heads, rows, cols) uint8 and their mask (rows, cols) bool.

    0 is no weight and 255 the top of the colour scale, which is one for all heads: 1, or with skip_first the largest
    weight on any token but the first. Longer texts are pooled: a cell is the maximum over its block.
    """
    trace = result.layers[layer]
    mask = trace.mask.cpu().numpy()
    weights = visible_weights(trace.weights.float().cpu().numpy(), mask)
    shares = np.nan_to_num(weights) / colour_top(weights, skip_first)
    block = -(-mask.shape[0] // SIDE)
    codes = np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
    return _max_pool(codes, block), _max_pool(mask[None], block)[0]


def _max_pool(maps: np.ndarray, block: int) -> np.ndarray:
    if block == 1:
        return maps
    starts = np.arange(0, maps.shape[-1], block)
    return np.maximum.reduceat(np.maximum.reduceat(maps, starts, axis=1), starts, axis=2)
