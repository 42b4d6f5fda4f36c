"""Does *it* still look at *animal*? The table of a pretrained model's variants, for the pages that ask."""

from __future__ import annotations

import streamlit as st

from headlight.core.analysis import referent
from headlight.core.analysis.variant_quality import VariantQuality
from headlight.core.registry import MODELS

_STAGES = {"as_trained": "as trained", "converted": "converted", "healed": "healed"}


def referent_table(found: list[VariantQuality]) -> None:
    """The weight from *it* to *animal* in the variants whose cards tell it, a row a variant and head."""
    rows = [row for each in found for row in _rows(each)]
    rows += [row for base in dict.fromkeys(each.base for each in found) for row in _exact(base, found)]
    if not rows:
        st.caption("No card on this machine tells it: `python -m training.distill.looks` measures it.")
        return
    st.table(rows)
    st.caption(
        f"Weights (0-1) in “{referent.sentence()}” Query heads keep their numbers, so each row is one head followed. Measured "
        "when a variant was made, from the weights that are shipped; *converted* is before anything was trained."
    )


def _rows(each: VariantQuality) -> list[dict[str, str]]:
    return [
        _row(each.title, each.kept, head, {stage: f"{each.referent[stage][head]:.3f}" for stage in _STAGES})
        for head in each.referent.get("healed", {})
    ]


def _exact(base: str, found: list[VariantQuality]) -> list[dict[str, str]]:
    """Rows of variants that are the packaged model in another form."""
    trained = next((each.referent["as_trained"] for each in found if each.base == base and each.referent), {})
    return [
        _row(
            row.title, None, head, {"as_trained": f"{weight:.3f}", "converted": f"{weight:.3f} (exact)", "healed": "–"}
        )
        for row in MODELS.values()
        for head, weight in trained.items()
        if row.base == base and row.folder is None
    ]


def _row(title: str, kept: int | None, head: str, told: dict[str, str]) -> dict[str, str]:
    layer, number = head.split(".")
    values = "" if kept is None else f" ({kept} values)"
    return {"model": f"{title}{values}", "head": f"layer {layer} head {number}"} | {
        title: told[stage] for stage, title in _STAGES.items()
    }
