"""What is on the quality page, to and from a link: the measure on the vertical axis and the sibling that is marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headlight.core.analysis.sibling_quality import MEASURES
from headlight.core.registry import SIBLINGS


@dataclass(frozen=True)
class QualityChoices:
    """measure: a key of `headlight.core.analysis.sibling_quality.MEASURES`; model: the sibling to mark, or None."""

    measure: str = "loss"
    model: str | None = None


def to_link(choices: QualityChoices) -> dict[str, str]:
    """The parameters of the address bar."""
    return {"measure": choices.measure} | ({"model": choices.model} if choices.model else {})


def from_link(params: Mapping[str, str], fallback: QualityChoices) -> tuple[QualityChoices, list[str]]:
    """The choices that a link asks for, and a note for each value that does not exist."""
    notes, changes = [], {}
    if params.get("measure", fallback.measure) in MEASURES:
        changes["measure"] = params.get("measure", fallback.measure)
    else:
        notes.append(f"The link's measure is unknown; showing {MEASURES[fallback.measure].title.lower()}.")
    if params.get("model") in SIBLINGS:
        changes["model"] = params["model"]
    elif "model" in params:
        notes.append("The link's model is none of the siblings, so none is marked.")
    return replace(fallback, **changes), notes
