"""Surgery's last part: the pretrained models in other attention variants, converted and healed by distillation."""

from __future__ import annotations

import streamlit as st

from headlight.core.analysis.sibling_quality import published
from headlight.core.analysis.variant_quality import (
    HELD_OUT,
    VariantQuality,
    loss_curves,
    missing,
    qualities,
)
from headlight.core.registry import PACKAGED
from headlight.viz.components.chart import chart
from headlight.viz.figures import curves
from headlight.viz.theme import Theme
from headlight.viz.ui.published import published_tables
from headlight.viz.ui.referent import referent_table

_INTRO = (
    "The pretrained models are too large to train on here for long, but a converted one can be *distilled* from what it was: "
    "only its attention learns, until it answers as the original does. What came of it is on Explore's Attention switch."
)
_LOSSES = {
    "distributions": ("What comes next: KL from the original", "nats per token"),
    "token states": ("Token states: distance from the original's", "distance"),
}


def draw(look: Theme) -> None:
    """A table and a curve of what the cards of assets/variants tell, the head that *it* is followed by, and papers' figures."""
    found = qualities()
    st.markdown("#### Pretrained models, converted and healed")
    if not found:
        st.info("No variant is on this machine: `python -m training.distill` makes them.", icon=":material/info:")
        return
    st.markdown(_INTRO)
    st.table([_row(each) for each in found])
    st.caption(_about(found))
    st.markdown("\n".join(f"- {_sentence(each)}" for each in found))
    _losses(found, look)
    st.markdown("**Does *it* still look at *animal*?**")
    referent_table(found)
    st.markdown("#### Published: the same conversion, healed on much more")
    published_tables(published("published_conversions.json"))


def _row(each: VariantQuality) -> dict[str, str]:
    row = {
        "model": each.title,
        "values per token per layer": f"{each.original_kept} → {each.kept}",
        "measure": each.measure,
    }
    row |= {f"{text}: as trained → converted → healed": " → ".join(each.numbers(text)) for text in each.texts}
    return row | {"tokens read": f"{each.card['tokens']:,}", "minutes": f"{each.card['seconds'] / 60:,.0f}"}


def _about(found: list[VariantQuality]) -> str:
    said = dict.fromkeys(each.card[name] for name in ("control", "held_out_check") for each in found)
    cards = " ".join(f"{told[:1].upper()}{told[1:]}." for told in said)
    lacking = [title for base in PACKAGED for title in missing(base)]
    told = f"Perplexity: less is better. Cosine of sentence embeddings to the original's: 1 is best. {cards}"
    return told + (f" Not on this machine: {', '.join(lacking)}." if lacking else "")


def _sentence(each: VariantQuality) -> str:
    trained, converted, healed = each.numbers(HELD_OUT)
    change = "" if each.measure == "cosine" else f" from {trained}"
    return (
        f"**{each.title}, {each.original_kept} → {each.kept}**: {each.card['conversion']} takes the {each.measure}{change} to "
        f"{converted}; after {each.card['tokens']:,} tokens ({each.card['hardware']}) it is **{healed}**. {_left(each)}"
    )


def _left(each: VariantQuality) -> str:
    """How much of the loss was healed, in nats for a decoder."""
    trained, converted, healed = (of[HELD_OUT] for of in (each.trained, each.converted, each.healed))
    if each.measure == "perplexity":
        return f"Healing took it from {converted / trained:.2f} to {healed / trained:.2f} times the original's."
    return f"{1 - (trained - healed) / (trained - converted):.0%} of what was lost is back."


def _losses(found: list[VariantQuality], look: Theme) -> None:
    groups = {what: [each for each in found if each.card["matched"] == what] for what in _LOSSES}
    there = {what: group for what, group in groups.items() if group}
    for column, (what, group) in zip(st.columns(len(there), gap="medium"), there.items(), strict=True):
        steps, lines = loss_curves(group)
        title, axis = _LOSSES[what]
        figure = curves(
            steps, lines, title, axes=("steps", axis), log=(False, True), theme=look, height=300
        )  # fmt: skip
        ends = "; ".join(f"{each.title} {each.losses[1][0]:.3g} to {each.losses[1][-1]:.3g}" for each in group)
        name = what.replace(" ", "_")
        with column:
            chart(figure, key_name=f"surgery_healing_{name}", alt=f"Loss: {ends}.", file_name="headlight-healing")
