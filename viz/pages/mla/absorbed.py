"""Inside MLA, the absorbed form: the same attention in latent space, the proof that it is the same, and what each costs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from headlight.core.attention import MLA
from headlight.core.lessons.absorbing import LatentLayer, both_precisions, layer_of
from headlight.core.types import Step
from headlight.viz.figures.mla.flow_layout import extent, pixels_a_token
from headlight.viz.pages.mla import cost as mla_cost
from headlight.viz.pages.mla import step_names as mla_words
from headlight.viz.pages.mla.choices import InsideMLA, state
from headlight.viz.pages.mla.data_flow import Drawn, diagram, picked_head, picture
from headlight.viz.pages.mla.state import Layered, attention_of, begin
from headlight.viz.pages.mla.tensor import tensor
from headlight.viz.theme import Theme

_INTRO = (
    "A decoder would have to expand every remembered latent into keys and values at every step. It need not: matrix products "
    "may be bracketed otherwise, and then nothing is expanded."
)
_ARGUMENT = (
    r"1. A score needs $k^C_u \cdot q^C_t = (W^{UK} c^{KV}_u) \cdot q^C_t$: a product for each remembered token $u$.",
    r"2. That is $c^{KV}_u \cdot (W^{UK\top} q^C_t)$. The bracket has the new token alone in it: call it $\tilde q_t$.",
    r"3. An output needs $\sum_u p_{t,u} W^{UV} c^{KV}_u = W^{UV} \sum_u p_{t,u}\, c^{KV}_u$: mix the latents first, call "
    r"the mix $z_t$, and expand it once.",
    r"4. So all heads read one key, $[c^{KV}_u; k^R_u]$, and one value, $c^{KV}_u$: multi-query attention in latent space.",
    r"5. Had position gone into $k^C$, the key would be $R_u W^{UK} c^{KV}_u$, and $R_u$, which differs from token to token, "
    r"would stand between. That is why $k^R$ travels separately.",
)
_STAYS = (
    "“Absorbed” is a way to bracket, not a new matrix: $W^{UK\\top} W^{UQ}$ is never multiplied out, since it would be larger "
    "than its two factors."
)


def draw(choices: InsideMLA, look: Theme) -> tuple[InsideMLA, list[str]]:
    """The argument, the diagram of the absorbed form, one step's numbers, the proof, and the costs."""
    st.markdown(_INTRO)
    choices, notes, here, _ = begin(choices)
    attention, layer = attention_of(here), layer_of(here.model, here.run, here.layer)
    st.markdown("\n".join(_ARGUMENT))
    steps = layer.absorbed()
    choices, more = _settle(choices, steps)
    _diagram(choices, here, steps, attention, look)
    with state.row("line"):
        names = {step.name: step for step in steps}
        state.menu(
            "Step", "line", choices.line, list(names), width=260,
            format_func=lambda name: mla_words.menu_name(names[name]) if name in names else name,
        )  # fmt: skip
    tensor(here, names[choices.line], steps, look, name="line", code=_code(choices, here))
    _proof(layer)
    mla_cost.draw(choices, here, layer, look)
    return choices, notes + more


def _settle(choices: InsideMLA, steps: tuple[Step, ...]) -> tuple[InsideMLA, list[str]]:
    if choices.line in [step.name for step in steps]:
        return choices, []
    return replace(choices, line="q_latent"), ["The link's step isn't part of the absorbed form; showing q̃."]


def _diagram(choices: InsideMLA, here: Layered, steps: tuple[Step, ...], a: MLA, look: Theme) -> None:
    pixels = pixels_a_token(len(here.run.tokens))
    wide, _ = extent(diagram("latent", here, pixels, steps).boxes)
    each = diagram("latent", here, pixels, steps, label=wide / 6)
    on_pick = partial(_picked, each)
    picture(each, extent(each.boxes)[0], look, on_pick, choices.line, key="absorbed")
    latent = a.cached_elements_per_token()
    st.caption(
        "Width, height and colours as in the first diagram, on a scale of its own. "
        f"Each head's query is now {a.kv_lora_rank} + {a.qk_rope_head_dim} = {latent} "
        f"numbers wide instead of {a.head_dim}: more arithmetic per token, but only {latent} values per token are read, for "
        f"all {a.n_heads} heads together, instead of {a.n_heads * (a.head_dim + a.v_head_dim)}. {_STAYS}"
    )


def _picked(each: Drawn, cell: tuple[int, int]) -> None:
    box = each.boxes[cell[0]]
    state.change(line=box.step.name, head=picked_head(box, cell[1], each.here))


def _proof(layer: LatentLayer) -> None:
    st.markdown("#### Both forms on this sentence, computed now")
    single, double = both_precisions(layer)
    st.table(
        [
            {
                "step": f"{mla_words.symbol(name)}: {_SAME[name]}",
                "largest number": f"{double[name].size:.3g}",
                "largest difference, float32": f"{single[name].largest:.2g}",
                "largest difference, float64": f"{double[name].largest:.2g}",
            }
            for name in double
        ]
    )
    st.caption(
        "Float32 carries about 7 digits, float64 about 16. The differences are rounding: they shrink as the precision grows, "
        "by the same factor of about 5 × 10⁸. All heads and tokens of this layer; what may not be seen is left out."
    )


_SAME = {"scores": "scores", "weights": "weights", "heads": "outputs of the heads", "out": "output of the layer"}


def _code(choices: InsideMLA, here: Layered) -> str:
    return (
        "import torch\nfrom headlight import load_model, run\nfrom headlight.core.lessons import absorbing\n\n"
        f"model = load_model({here.name!r})\n"
        f"result = run(model, {choices.text!r})\n"
        f"layer = absorbing.layer_of(model, result, {here.layer})\n"
        f"{{step.name: step.value for step in layer.absorbed()}}[{choices.line!r}]\n"
        "absorbing.differences(layer, torch.float64)\n"
        f"absorbing.costs(model.attention, {choices.context})\n"
    )
