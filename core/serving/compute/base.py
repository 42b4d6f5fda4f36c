"""The contract of whatever computes: a text's forward pass, and a decoder that continues it.

What comes back is the same whoever computed it: a `Run` whose traces are made here from the queries, keys and values that
the pass kept, and a decoder that hands out logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from headlight.core.decoding import Decoding
from headlight.core.model import Readable
from headlight.core.overload import Check, go_on
from headlight.core.types import Run, Tokens


@runtime_checkable
class Compute(Protocol):
    """here: whether it computes in this process, on the device that is taken in turns."""

    here: bool

    def run(self, model: Readable, tokens: Tokens, layers: Sequence[int] | None, check: Check = go_on) -> Run:
        """The tokens through the model, what the layers asked for kept (None: all).

        check: called now and then until the result is there; what it raises ends the work. Raises what `core.run` raises,
        and ComputeError where nobody is there to compute.
        """
        ...

    def decoder(self, model: Readable, watch: bool) -> Decoding:
        """What continues a text of this model; watch: with the weights of the token read last. Raises as `Decoder`."""
        ...
