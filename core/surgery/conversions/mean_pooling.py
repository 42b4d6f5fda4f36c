"""Mean-pooling: each group's key and value heads are averaged (Ainslie et al. 2023, arXiv 2305.13245, section 2.1).

The paper trains on for 5% of the pretraining steps afterwards; this is what it begins from. Averaging heads that were never
trained to agree loses much at once.
"""

from __future__ import annotations

from headlight.core.surgery.conversions.fewer_heads import Grouped, Kept, Picked


class MeanPooling(Picked):
    """W_K of a group: the mean over its heads, and W_V likewise."""

    title = "Mean-pooling of KV heads"
    about = "Neighbouring key and value heads are averaged into one. The GQA paper starts from this and trains on."
    source = "Ainslie et al. 2023, GQA, arXiv 2305.13245, section 2.1"

    def pick(self, grouped: Grouped, name: str, layer: int) -> Kept:
        """The mean over each group."""
        return grouped.mean(1)
