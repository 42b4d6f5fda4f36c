"""What is on the page Inside MLA, to and from a link; what each choice may be stands in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headlight.viz.pages.explore.choices import Choices
from headlight.viz.ui import link

SECTIONS = {"way": "The way of the data", "absorbed": "The absorbed form", "latent": "Inside the latent"}
SIDES = ("latent", "beside")  # which diagram a tensor is of
CONTEXTS = (64, 256, 1024, 4096, 16384)
SIZES = {"own": "this sibling", "v2lite": "DeepSeek-V2-Lite", "v3": "DeepSeek-V3"}


@dataclass(frozen=True)
class InsideMLA:
    """What a visitor has chosen.

    section: of SECTIONS; text; model: an MLA sibling; beside: another model; layer, head: of both. tensor, side: the step
    that is shown of one of them. line: the step shown of the absorbed form. context: tokens that the decoding step sees;
    sizes: whose sizes its cost is counted for. component: of the latent; alone: shares of the chosen head alone.
    """

    text: str
    section: str = "way"
    model: str = "mla-rope"
    beside: str = "mha-rope"
    layer: int = 2
    head: int = 3
    tensor: str = "c_kv"
    side: str = "latent"
    line: str = "q_latent"
    context: int = 4096
    sizes: str = "own"
    component: int = 0
    alone: bool = False


_ANY = link.whole(0, 999_999_999)  # whether there is such a layer is known once the model is
_RULES: Mapping[str, link.Rule] = {
    "text": str, "section": link.among(SECTIONS), "model": str, "beside": str, "layer": _ANY, "head": _ANY, "tensor": str,
    "side": link.among(SIDES), "line": str, "context": link.among(CONTEXTS), "sizes": link.among(SIZES),
    "component": _ANY, "alone": link.among((True,)),
}  # fmt: skip
_NAMES = {"beside": "model beside", "sizes": "choice of sizes"}


def to_link(choices: InsideMLA) -> dict[str, str]:
    """The parameters of the address bar; what is as at first is left out, but for section and text."""
    here = {"section": choices.section, "text": choices.text}
    return link.changed(choices, InsideMLA(text="")) | here


def from_link(params: Mapping[str, str], fallback: InsideMLA) -> tuple[InsideMLA, list[str]]:
    """The choices that a link asks for, gaps filled from `fallback`, and a note for each value that is no such thing."""
    return link.read(params, _RULES, fallback, _NAMES)


def explored(choices: InsideMLA) -> dict[str, str]:
    """The same sentence, layer and head on Explore, as its link's parameters."""
    from headlight.viz.pages.explore.choices import to_link as explore_link

    return explore_link(Choices(choices.text, choices.model, choices.layer, choices.head))
