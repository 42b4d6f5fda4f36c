"""What conversions to a latent share: W is replaced by its projection onto r directions, W ≈ U_r (U_rᵀ W).

U_rᵀ W is what goes down to the latent, U_r what expands it. The directions are left singular vectors of W S, where S says
how errors are weighed: E|(W - W') h|² = |(W - W') S|² (Frobenius) for any S with S Sᵀ = E[h hᵀ]; S = I is the plain SVD.
Among all W' of rank r, U_r U_rᵀ W makes this smallest (Eckart and Young 1936).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.attention import GQA, Attention, Latent
from headlight.core.attention.base import Params
from headlight.core.positions.base import Position
from headlight.core.surgery.base import Conversion, Converted, Prepared, TrainedLayer

# The least that a direction of the inputs counts, times the mean: what calibration never showed may still be met.
FLOOR = 1e-6


class LowRank(Conversion):
    """The setting is the rank of the latent, which is what is cached."""

    counts = "rank"

    def settings(self, source: GQA) -> Sequence[int]:
        """1 to the most that the rank of [W_K; W_V] can be."""
        return range(1, min(self._rows(source), source.d_model) + 1)

    def attention(self, source: GQA, setting: int) -> Attention:
        """A latent that the same KV heads are expanded from."""
        own = source.d_model, source.n_heads, source.head_dim, source.causal, source.bias
        return Latent(*own, n_kv_heads=source.n_kv_heads, kv_lora_rank=setting)

    def exact(self, source: GQA, position: Position, setting: int) -> bool:
        """At full rank; RoPE does not change that, as keys are expanded before they are turned."""
        return setting == self.settings(source)[-1]

    def prepare(self, layer: TrainedLayer) -> Prepared:
        """All directions, best first, and what W is along them."""
        weight = joint(layer.params, layer.attention)
        up = directions(weight, self.weighing(layer))
        down, up = (as_trained(t, layer) for t in (up.T @ weight, up))
        return Prepared(lambda rank: self._cut(layer, up, down, rank), _nbytes(up, down))

    @abstractmethod
    def weighing(self, layer: TrainedLayer) -> Tensor | None:
        """S in float64, (d_model, d_model); None where all errors count the same."""

    def _cut(self, layer: TrainedLayer, up: Tensor, down: Tensor, rank: int) -> Converted:
        params = {name: t for name, t in layer.params.items() if not name.startswith(("k_proj", "v_proj"))}
        params |= {"kv_a_proj.weight": down[:rank].clone(), "kv_b_proj.weight": up[:, :rank].contiguous()}
        if layer.attention.bias:
            params["kv_b_proj.bias"] = as_trained(joint(layer.params, layer.attention, "bias"), layer)
        return Converted(self.attention(layer.attention, rank), params)


def joint(params: Params, source: GQA, part: str = "weight") -> Float[Tensor, "rows ..."]:
    """[W_K; W_V] (or the biases) in float64 on the CPU, the rows of each KV head together: its keys, then its values."""
    return torch.cat(keys_and_values(params, source, part), dim=1).flatten(0, 1)


def keys_and_values(params: Params, source: GQA, part: str) -> list[Float[Tensor, "n_kv_heads head_dim ..."]]:
    """W_K and W_V (or their biases) in float64 on the CPU, a KV head an entry of the first axis."""
    rows = (params[f"{name}.{part}"].cpu().double() for name in ("k_proj", "v_proj"))
    return [t.unflatten(0, (source.n_kv_heads, source.head_dim)) for t in rows]


def as_trained(t: Tensor, layer: TrainedLayer) -> Tensor:
    """In the precision and on the device of the layer's weights."""
    like = layer.params["k_proj.weight"]
    return t.to(like.dtype).to(like.device)


def directions(weight: Float[Tensor, "rows d_model"], weighing: Tensor | None) -> Float[Tensor, "rows full"]:
    """Left singular vectors of W S, those that matter most first."""
    weighed = weight if weighing is None else weight @ weighing
    return torch.linalg.svd(weighed, full_matrices=False).U


def square_root(moment: Float[Tensor, "d_model d_model"]) -> Float[Tensor, "d_model d_model"]:
    """S with S Sᵀ = moment, from its eigenvectors; eigenvalues are raised to FLOOR times their mean at least."""
    values, vectors = torch.linalg.eigh(moment)
    return vectors * values.clamp(min=FLOOR * float(values.mean())).sqrt()


def _nbytes(*tensors: Tensor) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
