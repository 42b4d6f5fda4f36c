"""KV cache, "93.3% less": what the published number of DeepSeek-V2 is made of, with the paper's own tables beside it."""

from __future__ import annotations

import streamlit as st

from headlight.core.analysis import sibling_quality as quality
from headlight.core.export.table import rows_to_csv
from headlight.core.memory.claim import AFTER, BEFORE, PUBLISHED, WHY, Step, bits, fewer_numbers, less, steps
from headlight.core.memory.config.wording import formula
from headlight.core.memory.sizes import elements_per_token
from headlight.viz.figures import claim_steps
from headlight.viz.pages.cache.choices import BITS, CacheChoices, state
from headlight.viz.theme import Theme
from headlight.viz.ui.published import published_tables
from headlight.viz.ui.widgets import picture, take_away

_INTRO = (
    "DeepSeek-V2's paper (arXiv 2405.04434, abstract) says that its KV cache is **93.3% smaller** than that of DeepSeek 67B. "
    "The two models differ in three things that matter here, and one of them is not the attention: how many layers there are, "
    "what a layer keeps for a token, and how many bits a cached value has. The paper says that the deployed model's cache is "
    "quantised to 6 bits per value on average. That DeepSeek 67B is counted with 16 is inferred: with these bits the published "
    "number comes out, and with equal bits it does not."
)
_CAVEAT = (
    "Read the quality tables with care: DeepSeek's ablation trains models alike from scratch and finds GQA clearly below MHA; "
    "the GQA paper converts a trained model, trains it a little further, and finds near parity. Both can be right. MLA loses "
    "C-Eval in the small pair of Table 9."
)
_TABLE_1 = [
    {"attention": "MHA", "values kept per token": "2 n_h d_h l", "capability (the paper's word)": "Strong"},
    {"attention": "GQA", "values kept per token": "2 n_g d_h l", "capability (the paper's word)": "Moderate"},
    {"attention": "MQA", "values kept per token": "2 d_h l", "capability (the paper's word)": "Weak"},
    {
        "attention": "MLA",
        "values kept per token": "(d_c + d_h^R) l ≈ 9/2 d_h l",
        "capability (the paper's word)": "Stronger",
    },
]


def draw(choices: CacheChoices, look: Theme) -> tuple[CacheChoices, list[str]]:
    """The steps from one cache to the other, then the paper's tables."""
    st.markdown(_INTRO)
    with state.row("claim"):
        for label, field in (("Bits per value, DeepSeek 67B", "before"), ("Bits per value, DeepSeek-V2", "after")):
            state.steps(label, f"claim_{field}", getattr(choices, f"claim_{field}"), BITS, width=260)
    found = steps(choices.claim_before, choices.claim_after)
    _verdict(choices, found)
    picture(claim_steps(found, theme=look), "claim", _told(found), _formulas(choices))
    st.info(WHY, icon=":material/info:")
    take_away(
        state,
        "claim",
        "from headlight.core.memory.claim import fewer_numbers, less, steps\n"
        f"found = steps({choices.claim_before}, {choices.claim_after})\nless(found[0].bytes, found[-1].bytes), fewer_numbers()",
        {"From 67B to V2": lambda: rows_to_csv(
            ["step", "bytes per token", "factor"], [[step.title, step.bytes, step.by] for step in found]
        )},
    )  # fmt: skip
    _tables()
    return choices, []


def _verdict(choices: CacheChoices, found: list[Step]) -> None:
    whole = less(found[0].bytes, found[-1].bytes)
    numbers = (
        f"{float(elements_per_token(BEFORE)):,.0f} values per token become {float(elements_per_token(AFTER)):,.0f}"
    )
    sign = "less" if whole >= 0 else "more"
    says = f"**{abs(whole):.1%} {sign}** with {choices.claim_before} bits against {choices.claim_after}."
    if round(whole, 3) == PUBLISHED:
        says += " That is the published number."
    st.markdown(f"Element for element it is **{fewer_numbers():.1%} less**: {numbers}. In bytes it is {says}")


def _told(found: list[Step]) -> str:
    return ", ".join(f"{step.title}: {step.bytes:,.0f} B" for step in found) + "."


def _formulas(choices: CacheChoices) -> str:
    before, after = formula(BEFORE, bits(choices.claim_before)), formula(AFTER, bits(choices.claim_after))
    return (
        f"DeepSeek 67B: {before} a token. DeepSeek-V2: {after} a token. KB is 1000 bytes. Scales of quantised blocks are \
left out, as in the paper."
    )


def _tables() -> None:
    st.markdown("### The paper's tables")
    st.markdown("**DeepSeek-V2, Table 1: what is kept per token, in numbers**")
    st.table(_TABLE_1)
    st.caption(
        "n_h heads of width d_h, n_g KV heads, l layers, a latent of d_c = 4 d_h and a rotated key of d_h^R = d_h / 2: as much "
        "as GQA with 2.25 KV heads. DeepSeek-AI 2024, arXiv 2405.04434, Table 1 (read in the paper)"
    )
    st.markdown(_CAVEAT)
    published_tables([table for table in quality.published() if "DeepSeek-V2" in table["title"]])
    st.caption(
        "Table 9's cache sizes follow from shapes: 27 × 576 = 15,552 (small MLA), 60 × 576 = 34,560 (large MLA), "
        "2 × 16 × 128 × 27 = 110,592 (small MHA), 2 × 7,168 × 60 = 860,160 (large MHA: heads of 7,168 numbers together)."
    )
