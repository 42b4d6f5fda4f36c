"""Decoupling RoPE: a few rotary dimensions of each key are kept as they are, all others lose their rotation and go into the
latent with the values (MHA2MLA, Ji et al. 2025, arXiv 2502.14837; TransMLA, Meng et al. 2025, arXiv 2502.07864).

What comes out can be absorbed as MLA can. It is lossy at every rank, since most dimensions forget where a token stands; both
papers train on afterwards. Kept here: rotated keys a KV head, as in MHA2MLA (DeepSeek's one for all heads, TransMLA's
rotation of heads into each other and its balancing of keys and values are not done), and the scale of the whole head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from headlight.core.attention import GQA, Attention, Decoupled
from headlight.core.errors import ConfigError
from headlight.core.positions import RoPE
from headlight.core.positions.base import Position
from headlight.core.surgery.base import Conversion, Converted, Prepared, TrainedLayer
from headlight.core.surgery.low_rank import as_trained, directions, keys_and_values, square_root
from headlight.core.surgery.rotary import CHOICES, chosen_dims


@dataclass(frozen=True)
class Decouple(Conversion):
    """rotary: dimensions of each key that keep their rotation; choice: which, of `rotary.CHOICES`; weighted: the latent's
    SVD is weighted by activations. The setting is the rank of the latent; rotary dimensions of all KV heads come on top."""

    title = "Decoupled RoPE and a latent"
    about = (
        "A few rotary dimensions of each key are kept beside the latent; all others lose their position. It can be absorbed, "
        "and it is never exact."
    )
    source = "Ji et al. 2025, MHA2MLA, arXiv 2502.14837; Meng et al. 2025, TransMLA, arXiv 2502.07864"
    counts = "rank"

    rotary: int = 16
    choice: str = "norm"
    weighted: bool = True

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise ConfigError(f"choice ({self.choice!r}) must be one of {', '.join(CHOICES)}")

    @property
    def calibrated(self) -> bool:
        """For a weighted SVD, and to choose pairs by what they add."""
        return self.weighted or self.choice == "norm"

    def refusal(self, source: Attention, position: Position) -> str | None:
        """Only whole heads that RoPE turns can be decoupled."""
        if not isinstance(position, RoPE) or position.dim != source.head_dim:
            return "its queries and keys are not rotated (RoPE), so there is nothing to decouple"
        return super().refusal(source, position)

    def settings(self, source: GQA) -> Sequence[int]:
        """1 to the most that the rank of [W_K without the rotary rows; W_V] can be."""
        return range(1, min(self._rows(source), source.d_model) + 1)

    def attention(self, source: GQA, setting: int) -> Attention:
        """A latent with rotated dimensions beside it; raises ConfigError for a width that does not fit a head."""
        own = source.d_model, source.n_heads, source.head_dim, source.causal, source.bias
        return Decoupled(*own, n_kv_heads=source.n_kv_heads, kv_lora_rank=setting, qk_rope_head_dim=self.rotary)

    def exact(self, source: GQA, position: Position, setting: int) -> bool:
        """Never."""
        return False

    def prepare(self, layer: TrainedLayer) -> Prepared:
        """The dimensions that stay rotated, and the directions of all the rest."""
        rows = _Rows.of(layer, self)
        up = directions(rows.plain, square_root(layer.measured()) if self.weighted else None)
        down, up = (as_trained(t, layer) for t in (up.T @ rows.plain, up))
        return Prepared(
            lambda rank: self._cut(layer, rows, up, down, rank), sum(t.numel() * t.element_size() for t in (up, down))
        )

    def _cut(self, layer: TrainedLayer, rows: _Rows, up: Tensor, down: Tensor, rank: int) -> Converted:
        params = {name: t for name, t in layer.params.items() if not name.startswith(("k_proj", "v_proj"))}
        params["kv_a_proj.weight"] = torch.cat([down[:rank], as_trained(rows.turned, layer)])
        params |= {"kv_b_proj.weight": up[:, :rank].contiguous(), "rope_dims": rows.dims.to(down.device)}
        if layer.attention.bias:
            turned, plain = rows.biases(layer)
            params["kv_a_proj.bias"] = as_trained(torch.cat([turned.new_zeros(rank), turned]), layer)
            params["kv_b_proj.bias"] = as_trained(plain, layer)
        return Converted(self.attention(layer.attention, rank), params)

    def _rows(self, source: GQA) -> int:
        return source.n_kv_heads * (2 * source.head_dim - self.rotary)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of W_K and W_V in float64: turned, those that stay rotated; plain, a KV head's other keys and its values;
    dims (n_kv_heads, rotary): which dimensions of a head are turned."""

    dims: Int[Tensor, "n_kv_heads rotary"]
    turned: Tensor
    plain: Tensor

    @classmethod
    def of(cls, layer: TrainedLayer, asked: Decouple) -> _Rows:
        """The rows of a layer, parted as `asked`; raises ConfigError for what it refuses."""
        refusal = asked.refusal(layer.attention, layer.position)
        if refusal or not isinstance(layer.position, RoPE):
            raise ConfigError(f"{asked.title} cannot be done to this layer: {refusal}")
        asked.attention(layer.attention, 1)  # refuses a rotary width that does not fit
        dims = chosen_dims(asked.choice, layer, layer.position, asked.rotary)
        return cls(dims, *_parted(layer, dims, "weight"))

    def biases(self, layer: TrainedLayer) -> tuple[Tensor, Tensor]:
        """The biases of both, in the same order."""
        return _parted(layer, self.dims, "bias")


def _parted(layer: TrainedLayer, dims: Tensor, part: str) -> tuple[Tensor, Tensor]:
    k, v = keys_and_values(layer.params, layer.attention, part)
    kept = torch.ones(k.shape[:2], dtype=torch.bool).scatter(1, dims, False)
    turned = torch.stack([head[chosen] for head, chosen in zip(k, dims, strict=True)]).flatten(0, 1)
    plain = torch.stack(
        [torch.cat([head[rest], value]) for head, rest, value in zip(k, kept, v, strict=True)]
    ).flatten(0, 1)  # fmt: skip
    return turned, plain
