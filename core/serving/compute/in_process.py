"""The forward passes in the app's own process: the default."""

from __future__ import annotations

from collections.abc import Sequence

from headlight.core.decoding import Decoder
from headlight.core.model import Readable, run
from headlight.core.overload import Check, go_on
from headlight.core.types import Run, Tokens


class InProcess:
    """Computes with the model's own weights, on the device where they are."""

    here = True

    def run(self, model: Readable, tokens: Tokens, layers: Sequence[int] | None, check: Check = go_on) -> Run:
        """`core.run`."""
        return run(model, tokens, layers, check)

    def decoder(self, model: Readable, watch: bool) -> Decoder:
        """A decoder with caches of its own."""
        return Decoder(model, watch=watch)
