"""Surgery's second part: converted, healed, trained that way, side by side."""

from __future__ import annotations

import streamlit as st

from headlight.core.registry import SIBLINGS
from headlight.core.surgery.healed import Healed, healed

_INTRO = (
    "The siblings were small enough to train on: one is converted, then trained a little further on the text that would have "
    "come next in its own training. Beside it stands the sibling that was trained that way from the start and caches as much."
)
_CAVEAT = (
    "Validation loss in nats per token on the text that no sibling was trained on; three seeds of MHA · RoPE have a standard "
    "deviation of 0.006. The last column is the control: the same further steps, with their new warm-up, on the unconverted "
    "sibling. What it gains or loses is not due to the conversion."
)
_CHANCE = 0.012  # nats; two standard deviations over seeds


def draw() -> None:
    """A table, made of the cards of assets/healed."""
    found = healed()
    st.markdown("#### Converted, healed, trained that way")
    if not found:
        st.info("Nothing was healed on this machine yet: `python -m training.heal` does it.", icon=":material/info:")
        return
    st.markdown(_INTRO)
    st.table([_row(each) for each in found])
    st.caption(_CAVEAT)
    st.markdown("\n".join(f"- {_sentence(each)}" for each in found))


def _row(each: Healed) -> dict[str, str]:
    unit = "KV head" + ("s" if each.setting > 1 else "") if "KV" in each.conversion else "rank"
    name = f"{each.setting} {unit}" if unit != "rank" else f"rank {each.setting}"
    beside, loss = each.beside
    return {
        "sibling": SIBLINGS[each.source].title,
        "converted to": f"{each.conversion}, {name}",
        "values per token per layer": f"{each.source_kept} → {each.kept}",
        "as trained": f"{each.trained.validation:.3f}",
        "converted": f"{each.converted.validation:.3f}",
        f"healed, {each.steps} steps": f"{each.healed.validation:.3f}",
        "trained that way": f"{loss.validation:.3f} ({SIBLINGS[beside].title}, {each.beside_kept})",
        "unconverted, as many steps more": "–" if each.further is None else f"{each.further.validation:.3f}",
    }


def _sentence(each: Healed) -> str:
    lost = each.converted.validation - each.trained.validation
    left = each.healed.validation - each.trained.validation
    way = each.healed.validation - each.beside[1].validation
    what = f"**{SIBLINGS[each.source].title}, {each.source_kept} → {each.kept}**: converting costs {lost:+.3f} nats"
    if lost < _CHANCE:  # there is nothing to heal
        gained = each.converted.validation - each.beside[1].validation
        told = f", which may be chance: as it stands it is {_against(gained)} {SIBLINGS[each.beside[0]].title}, trained that "
        told += f"way. There is nothing to heal, and {each.steps} more steps take it to {each.healed.validation:.3f}."
    else:
        back = "it ends below what it began with" if left < 0 else f"{1 - left / lost:.0%} of that is healed"
        told = f"; after {each.steps} steps ({each.share:.0%} of its own training) {back}, and it is {_against(way)} "
        told += f"{SIBLINGS[each.beside[0]].title}, trained that way."
    control = (
        "" if each.further is None else f" The same steps take the unconverted one to {each.further.validation:.3f}."
    )
    return what + told + control


def _against(nats: float) -> str:
    return f"{abs(nats):.3f} nats {'better' if nats < 0 else 'worse'} than"
