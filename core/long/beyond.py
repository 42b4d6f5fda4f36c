"""RoPE beyond the length it was trained on: what a model still predicts there, as trained and with scaled frequencies.

Two experiments that a laptop can afford. `by_position`: the loss at each position of texts longer than the trained ones, for
a small model. `over_gaps`: a passage read twice, the second time G positions farther on; a model that can look back that
far copies it (its loss is small), one that cannot has to guess. The positions are all that changes: attention over a gap of
32,768 positions costs what the two passages cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from headlight.core.errors import InputError
from headlight.core.long.reading import Reader
from headlight.core.model import Model
from headlight.core.positions import Position, RoPE
from headlight.core.positions.scaling import UNSCALED, Linear, Scaling, Yarn
from headlight.core.types import Tokens

CHUNK = 256  # tokens whose logits are held at once
PASSAGE = 128  # tokens that are read twice
GAPS = (0, 512, 1024, 2048, 4096, 6144, 8192, 12288, 16384, 32768)
FACTOR = 4.0  # of YaRN over gaps: for 4 times the trained length
Progress = Callable[[float], object]


@dataclass(frozen=True)
class Gap(Position):
    """RoPE with a hole in it: tokens from `at` on stand `gap` positions farther than they would."""

    rope: RoPE
    at: int
    gap: int

    def at_qk(
        self, t: Float[Tensor, "heads seq head_dim"], pos: Int[Tensor, " seq"]
    ) -> Float[Tensor, "heads seq head_dim"]:
        """t, turned by RoPE at the moved positions."""
        return self.rope.at_qk(t, pos + self.gap * (pos >= self.at))

    @property
    def score_scale(self) -> float:
        """RoPE's own."""
        return self.rope.score_scale


def scaled(model: Model, scaling: Scaling) -> RoPE:
    """The model's RoPE with its frequencies scaled; raises InputError where it has another encoding."""
    if not isinstance(model.position, RoPE):
        raise InputError(f"{model.title} does not rotate its queries and keys, so there is nothing to scale")
    return replace(model.position, scaling=scaling)


def ways(model: Model, factor: float) -> Mapping[str, Scaling]:
    """The scalings that are compared, for texts `factor` times as long as the model's own context."""
    return {"as trained": UNSCALED, "linear": Linear(factor), "YaRN": Yarn(factor, model.context)}


@torch.inference_mode()
def losses(model: Model, ids: Sequence[int], position: Position | None = None) -> Float[Tensor, " seq"]:
    """Minus the log probability of each token after the first, in nats; position: another encoding than the model's.

    The model's context does not matter here: that is the point. Raises InputError for an encoder.
    """
    if model.head is None:
        raise InputError(f"{model.title} reads both ways and predicts no next token")
    longer = replace(model, context=max(model.context, len(ids)), position=position or model.position)
    reader = Reader(longer, _tokens(ids))
    while not reader.finished:
        reader.step()
    hidden, targets = reader.reading.hidden[:-1], torch.tensor(ids[1:], device=model.device)
    parts = zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True)
    return torch.cat([F.cross_entropy((h @ model.head.T).float(), t, reduction="none") for h, t in parts]).cpu()


def _tokens(ids: Sequence[int]) -> Tokens:
    """Tokens of which nothing but the ids is needed."""
    n = len(ids)
    return Tokens("", tuple(ids), ("",) * n, ((0, 0),) * n, (False,) * n)


def by_position(
    model: Model,
    ids: Sequence[int],
    length: int,
    progress: Progress | None = None,
    turn: AbstractContextManager[None] | None = None,
) -> Mapping[str, Float[Tensor, " seq"]]:
    """Way -> the mean loss at positions 1 … length - 1, over all whole windows of `length` tokens of a text.

    Each window begins with the text's first token, which opens every text in training. turn: entered around each window, to
    share a device. Raises InputError where the text is
    shorter than one window.
    """
    opening, rest = list(ids[:1]), list(ids[1:])
    starts = range(0, len(rest) - length + 2, length - 1)
    if not len(starts):
        raise InputError(f"a text of {len(ids):,} tokens has no window of {length:,}")
    found: dict[str, Tensor] = {}
    every = ways(model, length / model.context)
    for i, (name, scaling) in enumerate(every.items()):
        rows = []
        for j, start in enumerate(starts):
            with turn or nullcontext():
                rows.append(losses(model, opening + rest[start : start + length - 1], scaled(model, scaling)))
            if progress:
                progress((i + (j + 1) / len(starts)) / len(every))
        found[name] = torch.stack(rows).mean(0)
    return found


def over_gaps(
    model: Model,
    ids: Sequence[int],
    gaps: Sequence[int] = GAPS,
    factor: float = FACTOR,
    progress: Progress | None = None,
    turn: AbstractContextManager[None] | None = None,
) -> tuple[Mapping[str, Float[Tensor, " gaps"]], float]:
    """Way -> the mean loss of a passage read the second time, for each gap between the two readings; and that of the first.

    ids: the passage. turn: as in `by_position`. A gap of G puts the second reading G positions farther on than it would stand.
    """
    found: dict[str, Tensor] = {}
    every = {name: way for name, way in ways(model, factor).items() if name != "linear"}
    for i, (name, scaling) in enumerate(every.items()):
        means = []
        for j, gap in enumerate(gaps):
            position = Gap(scaled(model, scaling), len(ids), gap)
            # Of the second reading all but its first token, which the first reading's last does not announce.
            with turn or nullcontext():
                means.append(float(losses(model, [*ids, *ids], position)[len(ids) :].mean()))
            if progress:
                progress((i + (j + 1) / len(gaps)) / len(every))
        found[name] = torch.tensor(means)
    return found, float(losses(model, ids).mean())
