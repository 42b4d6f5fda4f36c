"""Inside MLA, what is often told otherwise, each sentence with a number of this layer that settles it."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from headlight.core.attention import MLA
from headlight.core.lessons.mla_facts import facts
from headlight.viz.pages.explore.choices import state as explore
from headlight.viz.pages.mla.choices import InsideMLA
from headlight.viz.pages.mla.state import Layered, attention_of
from headlight.viz.pages.positions.choices import state as positions


def draw(here: Layered, choices: InsideMLA) -> None:
    """A list of what is told, what holds, and the number."""
    st.markdown("#### Common misconceptions")
    found = facts(here.run.layers[here.layer])
    for told, holds, number in _rows(attention_of(here), found):
        st.markdown(f"- *“{told}”*  \n  **{holds}**  \n  Here: {number}.")
    shift = positions.link_to(section="mla", text=choices.text, layer_mla=here.layer, head_mla=here.head)
    head = explore.link_to(text=choices.text, model=here.name, layer=here.layer, head=here.head)
    st.caption(
        "Source: DeepSeek-V2 (arXiv 2405.04434), equations 9 to 19 and section 2.1.3. What the wrong order would break is "
        f"computed on [Positions: the shift test](positions?{urlencode(shift)}). The same head on "
        f"[Explore](./?{urlencode(head)})."
    )


def _rows(a: MLA, found: dict[str, float]) -> list[tuple[str, str, str]]:
    nope, rope = a.qk_nope_head_dim, a.qk_rope_head_dim
    return [
        ("The vectors with position are concatenated with the compressed keys and values before the up-projection.",
         "$k^C$ and $v$ are up-projected from $c^{KV}$ alone. Concatenation comes after, head by head.",
         f"the first {nope} numbers of $k$ are $k^C$, the last {rope} are $k^R$: largest difference "
         f"{max(found['first'], found['last']):.2g}"),
        ("Values get a part with position, too.", "Only queries and keys do. Values come from the latent and stay as they are.",
         f"$v$ has {a.v_head_dim} numbers a head, $k$ has {nope} + {rope}"),
        ("Every head has its own $k^R$.", "One $k^R$, made from $h$ and not from the latent, serves all heads.",
         f"the last {rope} numbers of $k$ differ between the {a.n_heads} heads by {found['between']:.2g}; their own parts by "
         f"up to {found['own']:.2g}"),
        ("The cache holds the latent before its norm, or keys before their rotation.",
         "$c^{KV}$ is kept after RMSNorm, $k^R$ after its position is in.",
         f"kept are these very tensors: {a.kv_lora_rank} + {rope} values per token"),
        (rf"Scores are divided by $\sqrt{{{nope}}}$, the width of $q^C$.",
         "By the root of the whole width, since the two products are added.",
         rf"$1/\sqrt{{{nope} + {rope}}} = {found['scale']:.4f}$"),
    ]  # fmt: skip
