"""The conversions by name, as a menu offers them and links spell them; a new one is a file and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from headlight.core.attention import GQA
from headlight.core.errors import InputError
from headlight.core.model import Model, Readable
from headlight.core.surgery import (
    Aligned,
    Conversion,
    Decouple,
    FirstHead,
    FreshHeads,
    JointSVD,
    MeanPooling,
    RandomHead,
    Repetition,
    WeightedSVD,
)
from headlight.core.surgery.base import heads_of, kept_of

METHODS: Mapping[str, type[Conversion]] = {
    "weighted": WeightedSVD, "svd": JointSVD, "decoupled": Decouple, "aligned": Aligned, "mean": MeanPooling,
    "first": FirstHead, "random": RandomHead, "fresh": FreshHeads, "repeat": Repetition,
}  # fmt: skip
MOST_POINTS = 6  # settings of one method on a curve


def convertible(model: Readable) -> Model:
    """The model, if it is one of ours with key and value heads; raises InputError with what it is instead."""
    if not isinstance(model, Model):
        raise InputError(f"{model.title} is run by transformers; only Headlight's own models can be converted here")
    if heads_of(model.attention) is None:
        kept = kept_of(model.attention)
        raise InputError(f"{model.title} keeps {kept} already; conversions start from key and value heads")
    return model


def grid(conversion: Conversion, source: GQA) -> tuple[int, ...]:
    """Settings for a curve, ascending: all of them, or MOST_POINTS ranks at even ratios of the highest, which is the last.

    >>> grid(WeightedSVD(), GQA(576, 9, 64, n_kv_heads=3))
    (64, 128, 192, 256, 320, 384)
    """
    there = conversion.settings(source)
    if len(there) <= MOST_POINTS:
        return tuple(there)
    return tuple(dict.fromkeys(there[round(len(there) * (i + 1) / MOST_POINTS) - 1] for i in range(MOST_POINTS)))
