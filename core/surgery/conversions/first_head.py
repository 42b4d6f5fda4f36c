"""First head: of each group the first key and value head is kept (a baseline of Ainslie et al. 2023, arXiv 2305.13245)."""

from __future__ import annotations

from headlight.core.surgery.conversions.fewer_heads import Grouped, Kept, Picked


class FirstHead(Picked):
    """The other heads of a group are dropped; their queries read the first one's keys."""

    title = "First KV head"
    about = "Of each group the first key and value head is kept, the others are dropped."
    source = "Ainslie et al. 2023, GQA, arXiv 2305.13245, section 2.1 and figure 4 (baseline)"

    def pick(self, grouped: Grouped, name: str, layer: int) -> Kept:
        """The first of each group."""
        return grouped[:, 0]
