"""Pictures in words, for captions, alternative texts and exports."""

from __future__ import annotations

import numpy as np

from headlight.core.types import Run
from headlight.viz.text import shorten, visible


def cell_sentence(result: Run, layer: int, head: int, query: int, key: int) -> str:
    """“it” looks at “animal”: 0.689 — one cell, in plain text."""
    weight = float(result.layers[layer].weights[head, query, key])
    return f"“{_name(result, query)}” looks at “{_name(result, key)}”: {weight:.3f}"


def head_sentence(result: Run, layer: int, head: int, query: int) -> str:
    """Where one token mostly looks in one head, in plain text."""
    row = result.layers[layer].weights[head, query].float().cpu().numpy()
    key = int(np.argmax(row))
    return f"Head {head} of layer {layer}: “{_name(result, query)}” looks mostly at “{_name(result, key)}” ({row[key]:.3f})."


def _name(result: Run, index: int) -> str:
    return shorten(visible(result.tokens.pieces[index]), 24)


def strongest_key(result: Run, layer: int, head: int, query: int) -> int:
    """The token that a query looks at most."""
    return int(result.layers[layer].weights[head, query].argmax())
