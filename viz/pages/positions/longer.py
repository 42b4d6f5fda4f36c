"""Positions, longer texts: what linear, dynamic, llama3 and YaRN scaling make of RoPE's frequencies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.export.table import to_csv
from headlight.core.lessons.longer import by_pair, frequencies, scalings
from headlight.core.lessons.tables import wavelengths
from headlight.viz.figures import curves
from headlight.viz.figures.positions.maps import thinned
from headlight.viz.pages.positions.choices import LENGTHS, ORIGINALS, ROTARY, THETAS, UNITS, Positions, state
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

if TYPE_CHECKING:
    from torch import Tensor

_INTRO = (
    "A model trained on texts of some length has never seen its slow pairs turn farther. For longer texts the frequencies are "
    "scaled; the ways differ in which pairs they slow down."
)
_TITLES = {"none": "as trained", "linear": "linear", "dynamic": "dynamic", "llama3": "Llama 3.1", "yarn": "YaRN"}
_ABOUT = {
    "linear": "every frequency divided by the factor: positions are squeezed together, neighbours too (Chen et al. 2023).",
    "dynamic": "a larger theta, growing with the text: fast pairs nearly stay, slow ones slow down; up to the trained length "
    "nothing changes.",
    "llama3": "long wavelengths divided by the factor, short ones kept, a ramp between (factors 1 and 4).",
    "yarn": "pairs that turn more than 32 times within the trained length are kept, those that turn less than once divided by "
    "the factor, a ramp between (Peng et al. 2023); the softmax gets a temperature, too.",
}


def draw(choices: Positions, look: Theme) -> tuple[Positions, list[str]]:
    """Curves of frequency or wavelength over the pairs, and how far each is slowed down."""
    st.markdown(_INTRO)
    _controls(choices)
    theta = float(choices.theta or 10_000)
    made = {
        name: frequencies(choices.rotary, theta, scaling, choices.length)
        for name, scaling in scalings(float(choices.factor), choices.original).items()
    }
    left, right = st.columns(2, gap="medium")
    with left:
        _curves(choices, made, look)
    with right:
        _slowed(made, look)
    st.markdown("\n".join(f"- **{_TITLES[name]}**: {about}" for name, about in _ABOUT.items()))
    take_away(
        state,
        "longer",
        "from headlight.core.lessons.longer import by_pair, frequencies, scalings\n"
        f"{{name: frequencies({choices.rotary}, {theta:.0f}.0, s, {choices.length})\n"
        f" for name, s in scalings({choices.factor}.0, {choices.original}).items()}}",
        {"Frequencies": lambda: to_csv(by_pair(made), list(made), "pair")},
    )
    return choices, []


def _controls(choices: Positions) -> None:
    with state.row("longer"):
        state.segments("Show", "unit", choices.unit, UNITS)
        state.slider("Factor", "factor", choices.factor, 1, 64, width=200)
        state.steps(
            "Trained length", "original", choices.original, ORIGINALS, width=200, format_func=lambda n: f"{n:,}"
        )
        state.steps(
            "Text length", "length", choices.length, LENGTHS, width=200, format_func=lambda n: f"{n:,}",
            help="Dynamic scaling alone depends on it.",
        )  # fmt: skip
        state.steps("Rotary dimensions", "rotary", choices.rotary, ROTARY, width=170)
        state.steps(
            "Theta", "theta", choices.theta, THETAS, width=200,
            format_func=lambda t: f"{t or 10_000:,}" + ("" if t else " (paper)")
        )  # fmt: skip


def _curves(choices: Positions, made: Mapping[str, Tensor], look: Theme) -> None:
    long = choices.unit == "wavelength"
    lines = {_TITLES[name]: (wavelengths_of(f) if long else f).numpy() for name, f in made.items()}
    if long:
        lines["trained length"] = made["none"].numpy() * 0 + choices.original
    figure = curves(
        thinned(choices.rotary // 2, 999), lines, f"{UNITS[choices.unit]} of each pair",
        axes=("pair", "positions to a full turn" if long else "radians a position"), log=(False, True),
        colours=("ink", "query", "key", "value", "latent", "muted"), theme=look, height=400,
    )  # fmt: skip
    last = ", ".join(f"{_TITLES[name]} {float(wavelengths_of(f)[-1]):,.0f}" for name, f in made.items())
    picture(
        figure, "scaled", f"Wavelength of the last pair: {last}.", f"Wavelength of the slowest pair, in positions: {last}."
    )  # fmt: skip


def wavelengths_of(frequencies: Tensor) -> Tensor:
    """Positions to a full turn."""
    return wavelengths(2)[0] / frequencies


def _slowed(made: Mapping[str, Tensor], look: Theme) -> None:
    lines = {_TITLES[name]: (made["none"] / f).numpy() for name, f in made.items() if name != "none"}
    figure = curves(
        thinned(len(made["none"]), 999), lines, "How many times slower than as trained", axes=("pair", "times slower"),
        colours=("query", "key", "value", "latent"), theme=look, height=400,
    )  # fmt: skip
    told = ", ".join(f"{name} {float(y[0]):.3g} to {float(y[-1]):.3g}" for name, y in lines.items())
    picture(figure, "slowed", f"First to last pair: {told}.", f"First to last pair: {told}.")
