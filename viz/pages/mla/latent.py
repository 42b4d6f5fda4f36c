"""Inside MLA, the latent: what its components carry of the keys and values, and which tokens they respond to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.export.table import to_csv
from headlight.core.lessons.latent import Components, Response, Sample, components, needed, responses
from headlight.core.types import Tokens
from headlight.viz import store
from headlight.viz.figures import curves, token_bars
from headlight.viz.figures.positions.maps import thinned
from headlight.viz.pages.mla.choices import InsideMLA, state
from headlight.viz.pages.mla.state import Layered, attention_of, begin
from headlight.viz.text import shorten, visible
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

if TYPE_CHECKING:
    from torch import Tensor

_INTRO = (
    "The latent's own dimensions move together, so none of them carries a share of its own. We turn the latent until they do "
    "not: **principal components**, the one that varies most first. They are found on a fixed text of {tokens:,} tokens "
    "(sixteen rows of the siblings’ validation text), for the layer that is chosen."
)
_SHARES = (
    "A component that varies by $\\lambda$ along the direction $u$ adds $\\lambda\\,|W^{UK}u|^2$ to the variance of the keys "
    "$k^C$, and the same with $W^{UV}$ to that of the values. These add up, since components do not move together: the right "
    "curve says how much of the keys' and values' variance is left if only the first components were kept. The key $k^R$ is "
    "not made from the latent and is not counted."
)
_LINES = ("latent", "keys", "values")


@dataclass(frozen=True)
class _Shown:
    here: Layered
    sample: Sample
    found: Components
    component: int


def draw(choices: InsideMLA, look: Theme) -> tuple[InsideMLA, list[str]]:
    """Shares and their sum; one component, the tokens of the sentence, and those of the text that respond most."""
    choices, notes, here, _ = begin(choices)
    with st.spinner("Reading the fixed text…"):
        sample = store.sample(choices.model)
    found = components(sample.latents[here.layer], attention_of(here), here.model.layers[here.layer])
    st.markdown(_INTRO.format(tokens=len(sample.places)))
    choices, more = _settle(choices, len(found.variance))
    with state.row("latent"):
        state.toggle(f"Keys and values of head {here.head} alone", "alone", choices.alone)
    shares = found.shares(here.head if choices.alone else None)
    _shares(shares, choices, look)
    _component(_Shown(here, sample, found, choices.component), shares, look)
    take_away(
        state,
        "latent", _code(choices, here), {"Shares of the components": lambda: _sheet(shares)},
    )  # fmt: skip
    return choices, notes + more


def _settle(choices: InsideMLA, count: int) -> tuple[InsideMLA, list[str]]:
    if choices.component < count:
        return choices, []
    note = f"There is no component {choices.component}; components 0 to {count - 1} are."
    return replace(choices, component=count - 1), [note]


def _shares(shares: Mapping[str, Tensor], choices: InsideMLA, look: Theme) -> None:
    count = len(shares["latent"])
    whose = f"head {choices.head}" if choices.alone else "all heads"
    lines = {name: 100 * shares[name].numpy() for name in _LINES}
    left, right = st.columns(2, gap="medium")
    with left:
        figure = curves(
            thinned(count, count), lines, "Share of each component", axes=("component", f"percent, {whose}"),
            colours=_roles(), marks={f"component {choices.component}": float(choices.component)}, theme=look,
        )  # fmt: skip
        first = ", ".join(f"{name} {float(values[0]):.3g}%" for name, values in lines.items())
        picture(
            figure, "shares", f"Shares of {count} components. The first: {first}.", f"The first component: {first}."
        )
    with right:
        sums = {name: values.cumsum() for name, values in lines.items()}
        figure = curves(
            thinned(count, count) + 1, sums, "The first components together",
            axes=("components kept", f"percent, {whose}"), colours=_roles(), theme=look,
        )  # fmt: skip
        told = "; ".join(
            f"{name}: 90% in the first {needed(shares[name], 0.9)}, 99% in the first {needed(shares[name], 0.99)}"
            for name in _LINES
        )
        picture(figure, "sums", f"Of {count} components, {told}.", f"Of {count} components, {told}.")
    st.caption(_SHARES)


def _roles() -> Sequence[str]:
    return ("latent", "key", "value")


def _component(shown: _Shown, shares: Mapping[str, Tensor], look: Theme) -> None:
    st.markdown("#### What a component responds to")
    j, found = shown.component, shown.found
    with state.row("component"):
        state.slider("Component", "component", j, 0, len(found.variance) - 1, width=260)
    st.caption(
        f"Component {j} carries {_percent(shares['latent'][j])} of the latent's variance, {_percent(shares['keys'][j])} of the "
        f"keys' and {_percent(shares['values'][j])} of the values'; it reaches most into the keys of head "
        f"{int(found.keys[:, j].argmax())} and the values of head {int(found.values[:, j].argmax())}. Its sign is arbitrary: "
        "high and low could be swapped."
    )
    here = shown.here
    latents = here.run.layers[here.layer].cache.tensors["c_kv"]
    mine = found.activations(latents)[:, j]
    title = f"Component {j} in your sentence"
    picture(
        token_bars(mine.numpy(), here.run.tokens.pieces, title, axis="standard deviations", theme=look), "activation",
        f"{title}: from {float(mine.min()):.2f} to {float(mine.max()):.2f} standard deviations.",
    )  # fmt: skip
    _responses(shown, found.activations(shown.sample.latents[here.layer])[:, j], here.run.tokens, mine)


def _responses(shown: _Shown, activations: Tensor, tokens: Tokens, mine: Tensor) -> None:
    """Tokens of the fixed text and of the sentence, as plain text."""
    words = [i for i, special in enumerate(tokens.special) if not special]
    whole = activations.new_tensor([*activations.tolist(), *mine[words].tolist()])
    places = [*shown.sample.places, *((len(shown.sample.texts), i) for i in words)]
    highest, lowest = responses(whole, [*shown.sample.texts, tokens], places)
    for column, title, found in zip(
        st.columns(2, gap="medium"), ("Highest", "Lowest"), (highest, lowest), strict=True
    ):  # fmt: skip
        with column:
            st.markdown(f"**{title}**, in the fixed text and your sentence; each word once")
            st.dataframe([_row(each) for each in found], hide_index=True, width="stretch")


def _row(each: Response) -> dict[str, str]:
    before = "".join(visible(c) if c in "\n\r\t" else c for c in each.before)
    return {
        "before it": f"…{before[-40:]}",
        "token": shorten(visible(each.piece), 24),
        "activation": f"{each.activation:+.2f}",
    }


def _percent(share: Tensor) -> str:
    return f"{100 * float(share):.3g}%"


def _sheet(shares: Mapping[str, Tensor]) -> str:
    values = shares["latent"].new_tensor([shares[name].tolist() for name in _LINES])
    return to_csv(values.T, _LINES, "component")


def _code(choices: InsideMLA, here: Layered) -> str:
    head = here.head if choices.alone else None
    return (
        "from headlight import load_model\nfrom headlight.core.lessons import latent\n\n"
        f"model = load_model({here.name!r})\n"
        "sample = latent.sample(model)\n"
        f"found = latent.components(sample.latents[{here.layer}], model.attention, model.layers[{here.layer}])\n"
        f"found.shares({head})['keys'].cumsum(0)\n"
        f"activations = found.activations(sample.latents[{here.layer}])[:, {choices.component}]\n"
        "latent.responses(activations, sample.texts, sample.places)\n"
    )
