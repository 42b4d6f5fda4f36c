"""One small interface for all conversions: the trained parameters of a layer in, those of another variant out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from headlight.core.attention import GQA, MHA, MQA, Attention
from headlight.core.attention.base import Params
from headlight.core.errors import InputError
from headlight.core.positions.base import Position


@dataclass(frozen=True, eq=False)
class TrainedLayer:
    """A trained layer to convert.

    index: which layer of its model; moment: the second moment of what goes into the layer with a 1 at its end, the mean of
    [h; 1] [h; 1]ᵀ over calibration tokens, for the conversions that are `calibrated`. Its last column is the mean of h.
    """

    attention: GQA
    params: Params
    position: Position
    index: int = 0
    moment: Float[Tensor, "d_model_1 d_model_1"] | None = None

    def measured(self) -> Float[Tensor, "d_model d_model"]:
        """The second moment of h in float64, on the CPU (MPS has no float64); raises InputError where there is none."""
        return self.measured_with_one()[:-1, :-1]

    def measured_with_one(self) -> Float[Tensor, "d_model_1 d_model_1"]:
        """The second moment of [h; 1], which weighs a bias as one more column; raises InputError where there is none."""
        if self.moment is None:
            raise InputError(
                "this conversion weighs errors by what the layer reads: give the second moment of its inputs"
            )
        return self.moment.cpu().double()


@dataclass(frozen=True, eq=False)
class Converted:
    """A configuration, which is also what runs it, and its parameters."""

    attention: Attention
    params: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What all settings of a conversion share for one layer (an SVD): cut(setting) is quick. nbytes: what is held."""

    cut: Callable[[int], Converted]
    nbytes: int = 0


@dataclass(frozen=True)
class Conversion(ABC):
    """A way to convert a layer with key and value heads; its fields are what is chosen beside the one setting.

    title, about: for people; source: the paper; counts: what the setting is, KV heads or the latent's rank; calibrated:
    whether it needs the second moment of a layer's inputs.
    """

    title: ClassVar[str]
    about: ClassVar[str]
    source: ClassVar[str]
    counts: ClassVar[Literal["heads", "rank"]]

    @property
    def calibrated(self) -> bool:
        """Whether it needs the second moment of a layer's inputs."""
        return False

    def refusal(self, source: Attention, position: Position) -> str | None:
        """Why it cannot be done to an attention, in one plain sentence without an end; None where it can."""
        return (
            None
            if heads_of(source)
            else f"it keeps {kept_of(source)} already, and this starts from key and value heads"
        )

    @abstractmethod
    def settings(self, source: GQA) -> Sequence[int]:
        """Every setting that there is for an attention, ascending."""

    @abstractmethod
    def attention(self, source: GQA, setting: int) -> Attention:
        """What comes out, without converting anything: its `cached_elements_per_token` is what is kept."""

    @abstractmethod
    def exact(self, source: GQA, position: Position, setting: int) -> bool:
        """Whether nothing is lost but rounding."""

    @abstractmethod
    def prepare(self, layer: TrainedLayer) -> Prepared:
        """What all settings share; raises InputError for a layer that it refuses."""

    def convert(self, layer: TrainedLayer, setting: int) -> Converted:
        """The layer converted; raises InputError for a layer that it refuses and a setting that does not exist."""
        self.check(layer.attention, layer.position, setting)
        return self.prepare(layer).cut(setting)

    def check(self, source: Attention, position: Position, setting: int) -> None:
        """Raises InputError for an attention that it refuses and a setting that does not exist, naming those that do."""
        refusal = self.refusal(source, position)
        if refusal:
            raise InputError(f"{self.title} cannot be done to this model: {refusal}")
        heads = heads_of(source)
        if heads is not None and setting not in self.settings(heads):
            raise InputError(self._no_such(heads, setting))

    def _no_such(self, source: GQA, setting: int) -> str:
        there = self.settings(source)
        if self.counts == "heads":
            return f"the number of KV heads ({setting}) must be {self._needed(source)}: {', '.join(map(str, there))} will do"
        return (
            f"the rank ({setting}) must be from {there[0]} to {there[-1]}: [W_K; W_V] has {self._rows(source)} rows and "
            f"{source.d_model} columns, and its rank is no more than the smaller"
        )

    def _needed(self, source: GQA) -> str:
        return f"a divisor of the {source.n_kv_heads} that there are"

    def _rows(self, source: GQA) -> int:
        return 2 * source.n_kv_heads * source.head_dim


def heads_of(source: Attention) -> GQA | None:
    """The attention where it is MHA, GQA or MQA, whose k_proj and v_proj all conversions start from; else None.

    What is derived from them is refused: a conversion makes one of the three anew, and what was added (a window) were lost.
    """
    return source if isinstance(source, GQA) and type(source) in (GQA, MHA, MQA) else None


def kept_of(source: Attention) -> str:
    """What an attention that is refused keeps of a token, in words.

    >>> from headlight.core.attention import MLA
    >>> kept_of(MLA(24, 6, kv_lora_rank=8, qk_nope_head_dim=4, qk_rope_head_dim=2, v_head_dim=4))
    'a latent and a rotated key'
    """
    row = source.cache_row()
    if row.part("keys"):  # derived from the three that are converted
        return "keys and values in a way of its own"
    single = {"latent": "a latent", "rotated": "a rotated key"}
    return " and ".join(single.get(part.kind, part.kind) for part in row.parts)


def with_kv_heads(source: GQA, n_kv_heads: int) -> GQA:
    """The same attention with another number of KV heads; MHA and MQA by their own names."""
    own = source.d_model, source.n_heads, source.head_dim, source.causal, source.bias
    if n_kv_heads == source.n_heads:
        return MHA(*own)
    return MQA(*own) if n_kv_heads == 1 else GQA(*own, n_kv_heads=n_kv_heads)


def divisors(n: int) -> tuple[int, ...]:
    """All whole numbers that divide n, ascending.

    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)
    """
    return tuple(i for i in range(1, n + 1) if n % i == 0)
