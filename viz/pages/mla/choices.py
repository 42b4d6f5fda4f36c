"""What is on the page Inside MLA, and what each choice may be."""

from __future__ import annotations

from dataclasses import dataclass

from headlight.core.examples import examples
from headlight.core.registry import SIBLINGS
from headlight.viz import store
from headlight.viz.pages.explore.choices import state as explore
from headlight.viz.ui.link import Choices, among, choice, whole
from headlight.viz.ui.state import PageState, carried_text

SECTIONS = {"way": "Data flow", "absorbed": "The absorbed form", "latent": "Inside the latent"}
SIDES = ("latent", "beside")  # which diagram a tensor is of
CONTEXTS = (64, 256, 1024, 4096, 16384)
SIZES = {"own": "this sibling", "v2lite": "DeepSeek-V2-Lite", "v3": "DeepSeek-V3"}
_ANY = whole(0, 999_999_999)  # whether there is such a layer is known once the model is


@dataclass(frozen=True)
class InsideMLA(Choices):
    """What a visitor has chosen.

    section: of SECTIONS; text; model: an MLA sibling; beside: another model; layer, head: of both. tensor, side: the step
    that is shown of one of them. line: the step shown of the absorbed form. context: tokens that the decoding step sees;
    sizes: whose sizes its cost is counted for. component: of the latent; alone: shares of the chosen head alone.
    """

    text: str = choice()
    section: str = choice("way", among(SECTIONS), always=True)
    model: str = choice("mla-rope")
    beside: str = choice("mha-rope", name="model beside")
    layer: int = choice(2, _ANY)
    head: int = choice(3, _ANY)
    tensor: str = choice("c_kv")
    side: str = choice("latent", among(SIDES))
    line: str = choice("q_latent")
    context: int = choice(4096, among(CONTEXTS))
    sizes: str = choice("own", among(SIZES), name="choice of sizes")
    component: int = choice(0, _ANY)
    alone: bool = choice(False, among((True,)))


def latent_models() -> dict[str, str]:
    """Name -> title of the MLA siblings on this machine."""
    rows = store.engine().rows
    return {n: row.title for n, row in SIBLINGS.items() if n in rows and row.attention == "mla" and row.installed}


def _start() -> InsideMLA:
    """Where the page begins: the sentence of the page before, and the head chosen on Explore where it is of an MLA sibling."""
    seen, text = explore.seen(), carried_text(examples()[0].text)
    if seen is None or seen.model not in latent_models():
        return InsideMLA(text)
    return InsideMLA(text, model=seen.model, layer=seen.layer or 0, head=seen.head or 0)


state = PageState("mla", InsideMLA, _start)
