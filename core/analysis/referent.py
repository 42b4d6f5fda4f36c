"""Does *it* still look at *animal*? One weight of a head, followed through the variants of a model."""

from __future__ import annotations

from collections.abc import Mapping

from headlight.core.examples import Spot, examples, locate
from headlight.core.model import Readable, run

# Heads of the packaged models in which "it" looks at "animal": layer and head.
HEADS: Mapping[str, tuple[tuple[int, int], ...]] = {"minilm": ((3, 1), (5, 11)), "smollm2": ((13, 8),)}


def sentence() -> str:
    """The sentence that they were found in, and that Headlight opens with."""
    return examples()[0].text


def weights(model: Readable, base: str) -> dict[str, float]:
    """ "layer.head" -> the weight (0-1) from "it" to "animal", for HEADS[base] (none elsewhere); model: `base` or its variant.

    Query heads keep their numbers in a conversion, so a head of a variant is the one that it was made from.

    >>> from headlight import load_model
    >>> {head: round(weight, 2) for head, weight in weights(load_model("minilm", "cpu"), "minilm").items()}
    {'3.1': 0.69, '5.11': 0.68}
    """
    heads = HEADS.get(base, ())
    found = run(model, sentence(), sorted({layer for layer, _ in heads}))
    query, key = _places(next(iter(examples()[0].spots.values())), found.tokens.pieces)
    return {f"{layer}.{head}": float(found.layers[layer].weights[head, query, key]) for layer, head in heads}


def _places(words: Spot, pieces: tuple[str, ...]) -> tuple[int, int]:
    query, key = locate(words, pieces)
    return query, 0 if key is None else key
