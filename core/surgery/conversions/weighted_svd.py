"""Activation-weighted SVD: the latent that is best for what the layer reads, not for its weights alone.

Singular values of W S, with S Sᵀ the second moment of the inputs on a calibration text, are the errors that dropping a
direction makes (Wang et al. 2024, SVD-LLM, arXiv 2403.07378, truncation-aware data whitening, with Cholesky's S; ours is
the eigenvectors', which also exists where the moment is singular and gives the same W'). Centring is left out.
"""

from __future__ import annotations

from torch import Tensor

from headlight.core.surgery.base import TrainedLayer
from headlight.core.surgery.low_rank import LowRank, square_root


class WeightedSVD(LowRank):
    """S Sᵀ = E[h hᵀ] over the calibration text."""

    title = "Latent by SVD, weighted by activations"
    about = "The same latent, but errors count by how often the model's inputs point there, on a calibration text."
    source = "Wang et al. 2024, SVD-LLM, arXiv 2403.07378 (data whitening)"

    @property
    def calibrated(self) -> bool:
        """It needs the second moment."""
        return True

    def weighing(self, layer: TrainedLayer) -> Tensor | None:
        """The square root of the inputs' second moment."""
        return square_root(layer.measured())
