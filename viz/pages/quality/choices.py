"""What is on the quality page: the measure on the vertical axis and the sibling that is marked."""

from __future__ import annotations

from dataclasses import dataclass

from headlight.core.analysis.sibling_quality import MEASURES
from headlight.core.registry import SIBLINGS
from headlight.viz.ui.link import Choices, among, choice
from headlight.viz.ui.state import PageState


@dataclass(frozen=True)
class QualityChoices(Choices):
    """measure: a key of `headlight.core.analysis.sibling_quality.MEASURES`; model: the sibling to mark, or None."""

    measure: str = choice(
        "loss", among(MEASURES), always=True,
        refused=f"The link's measure is unknown; showing {MEASURES['loss'].title.lower()}.",
    )  # fmt: skip
    model: str | None = choice(None, among(SIBLINGS), refused="The link's model isn't a sibling, so none is marked.")


state = PageState("quality", QualityChoices, QualityChoices)
