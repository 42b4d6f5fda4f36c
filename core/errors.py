"""What can go wrong, as one small tree. Every message names the values and what would work, and may be shown to a visitor.

HeadlightError
├── ConfigError          a configuration that cannot exist (4 heads on 3 KV heads)
├── InputError           a text or a choice that the model cannot take (empty, too long, no such layer)
├── UnknownNameError     no such model, variant or encoding
├── MissingModelError    the model is known, but its weights are not on this machine
├── CheckpointError      the weights are there, but damaged or not what the configuration says
│   └── UnsupportedModelError   nothing is wrong with them, but Headlight cannot read them rightly, and says what it lacks
├── TrainingError        a training run that cannot start or go on (no text, a damaged checkpoint)
└── OverloadError        nothing is wrong with what was asked for; this machine cannot do it now, and may a moment later
    ├── BusyError            too many wait already
    ├── ComputeError         what computes elsewhere does not answer
    ├── TooLongError         it took longer than a request may
    └── OutOfMemoryError     there was no memory for it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class HeadlightError(Exception):
    """The root of every error that Headlight raises on purpose."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # KeyError alone would show it in quotes


class ConfigError(HeadlightError, ValueError):
    """A configuration that cannot exist; raised at construction."""


class InputError(HeadlightError, ValueError):
    """A text, layer, head or token that the chosen model cannot take."""


class UntracedLayerError(InputError, KeyError):
    """A layer that exists but was not asked for when the text was run."""


class UnknownNameError(HeadlightError, KeyError):
    """A name that is in no registry."""


class MissingModelError(HeadlightError, FileNotFoundError):
    """A registered model whose files are not installed; the message carries the command that brings them."""


class CheckpointError(HeadlightError, RuntimeError):
    """Weights that are damaged, incomplete or of another shape than their configuration says."""


class UnsupportedModelError(CheckpointError):
    """A checkpoint that Headlight refuses rather than show it wrongly; the message names what is not supported."""


class TrainingError(HeadlightError, RuntimeError):
    """A training run that cannot start or go on: a corpus that is none, a damaged checkpoint, a loss that is no number."""


class OverloadError(HeadlightError):
    """What was asked for is right, but cannot be had now; asked again a moment later it may."""


class BusyError(OverloadError):
    """Too many requests wait already, or a newer one of the same visitor has taken this one's place."""


class ComputeError(OverloadError, ConnectionError):
    """What computes outside this process does not answer, or answers with what nobody understands; asking again may help."""


class TooLongError(OverloadError, TimeoutError):
    """A request that took longer than the operator lets one take; it was stopped."""


class OutOfMemoryError(OverloadError, MemoryError):
    """There was no memory for a request; what it had is given back."""


def lookup(table: Mapping[str, Any], name: str, what: str) -> Any:
    """The row called `name`; raises UnknownNameError with the names there are."""
    if name not in table:
        raise UnknownNameError(f"no {what} is called {name!r}; there are {', '.join(table)}")
    return table[name]
