"""Where an encoding may act: at the input, on queries and keys, or on the scores. Each place does nothing by default."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Position:
    """No position encoding, and the base of all others: override the one place where an encoding acts."""

    def at_input(self, x: Float[Tensor, "seq d_model"], pos: Int[Tensor, " seq"]) -> Float[Tensor, "seq d_model"]:
        """The residual stream before the first layer, with positions in it (learned, sinusoidal)."""
        return x

    def at_qk(
        self, t: Float[Tensor, "heads seq head_dim"], pos: Int[Tensor, " seq"]
    ) -> Float[Tensor, "heads seq head_dim"]:
        """Queries or keys, with positions in them (RoPE)."""
        return t

    def at_scores(
        self, scores: Float[Tensor, "n_heads q_len kv_len"], q_pos: Int[Tensor, " q_len"], k_pos: Int[Tensor, " kv_len"]
    ) -> Float[Tensor, "n_heads q_len kv_len"]:
        """Scaled scores, with positions in them (ALiBi)."""
        return scores

    @property
    def score_scale(self) -> float:
        """Factor on the softmax scale; 1 but for DeepSeek's YaRN."""
        return 1.0

    @property
    def turns_keys(self) -> bool:
        """Whether at_qk does anything; a key that is turned cannot be absorbed into the query."""
        return type(self).at_qk is not Position.at_qk

    @property
    def biases_scores(self) -> bool:
        """Whether at_scores does anything; fused attention needs to know."""
        return type(self).at_scores is not Position.at_scores
