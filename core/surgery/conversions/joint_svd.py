"""Joint SVD: keys and values come from one latent, the best of its size for the weights [W_K; W_V].

The SVD of both together is what MHA2MLA found best (Ji et al. 2025, arXiv 2502.14837, section 3.2, "joint"); it does so for
the dimensions without RoPE (`decouple`). Here all of a key is in the latent, and RoPE is applied after expanding it, as in
Palu (Chang et al. 2024, arXiv 2407.21118): exact at full rank, but nothing can be absorbed.
"""

from __future__ import annotations

from torch import Tensor

from headlight.core.surgery.base import TrainedLayer
from headlight.core.surgery.low_rank import LowRank


class JointSVD(LowRank):
    """S = I: an error in any direction of the input counts the same."""

    title = "Latent by SVD"
    about = "Keys and values are made from one small latent, by the singular value decomposition of [W_K; W_V]."
    source = "Ji et al. 2025, MHA2MLA, arXiv 2502.14837 (joint SVD); Chang et al. 2024, Palu, arXiv 2407.21118 (RoPE after it)"

    def weighing(self, layer: TrainedLayer) -> Tensor | None:
        """None: the weights alone are looked at."""
        return None
