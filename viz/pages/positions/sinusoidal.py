"""Positions, sinusoidal: the table as a map and as curves, its wavelengths, and how alike two positions are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.export.table import to_csv
from headlight.core.lessons import tables
from headlight.viz.figures import curves, signed_map
from headlight.viz.figures.positions.maps import thinned
from headlight.viz.pages.positions.choices import MOST_DIMS, WIDTHS, Positions, state
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

if TYPE_CHECKING:
    import numpy as np

_INTRO = (
    "Each position gets a signature: sines and cosines of many frequencies, added to the token's vector before the first "
    "layer (Vaswani et al. 2017, section 3.5). Nothing is learned."
)


def draw(choices: Positions, look: Theme) -> tuple[Positions, list[str]]:
    """Map and curves side by side, dot products and wavelengths below."""
    choices, notes = _settle(choices)
    st.markdown(_INTRO)
    _controls(choices)
    table = tables.sinusoidal(choices.count, choices.width)
    left, right = st.columns(2, gap="medium")
    with left:
        _map(table.numpy(), look)
    with right:
        _waves(choices, table.numpy(), look)
    left, right = st.columns(2, gap="medium")
    with left:
        _products(choices, tables.products(table, choices.at).numpy(), look)
    with right:
        _wavelengths(choices, look)
    take_away(
        state,
        "sinusoidal",
        "from headlight.core.lessons import tables\n"
        f"table = tables.sinusoidal({choices.count}, {choices.width})  # (positions, dimensions)\n"
        f"tables.products(table, {choices.at}), tables.wavelengths({choices.width})",
        {"Table": lambda: to_csv(table, range(choices.width), "position")},
    )
    return choices, notes


def _settle(choices: Positions) -> tuple[Positions, list[str]]:
    dims = tuple(d for d in choices.dims if d < choices.width)
    return replace(choices, dims=dims, at=min(choices.at, choices.count - 1)), []


def _controls(choices: Positions) -> None:
    with state.row("sinusoidal"):
        state.steps("Dimensions", "width", choices.width, WIDTHS, width=220)
        state.slider("Positions", "count", choices.count, 2, 512, width=220)
        state.slider("Compare with position", "at", choices.at, 0, choices.count - 1, width=220)
        state.several("Dimensions drawn as curves", "dims", choices.dims, range(choices.width), MOST_DIMS, width=330)


def _map(table: np.ndarray, look: Theme) -> None:
    rows, columns = thinned(table.shape[0]), thinned(table.shape[1], 256)
    figure = signed_map(
        table[rows][:, columns], "The table: one row per position", axes=("dimension", "position"), legend="added", limit=1.0,
        across=columns, down=rows, theme=look,
    )  # fmt: skip
    thin = "" if len(rows) == len(table) else f" Every {rows[1]}th position is drawn."
    picture(
        figure, "table", f"Sinusoidal table of {table.shape[0]} positions and {table.shape[1]} dimensions.",
        "Even dimensions are sines, odd ones cosines of the same wave. On the left they change with every token, on the right "
        f"hardly at all, so a row is like a number written in digits of many sizes.{thin}",
    )  # fmt: skip


def _waves(choices: Positions, table: np.ndarray, look: Theme) -> None:
    lengths = tables.wavelengths(choices.width)
    lines = {f"dimension {d}": table[:, d] for d in choices.dims}
    turns = {
        f"λ {float(lengths[d // 2]):.1f}": float(lengths[d // 2])
        for d in choices.dims
        if lengths[d // 2] < choices.count
    }
    figure = curves(
        thinned(len(table), len(table)), lines, "The same as waves", axes=("position", "added"), marks=turns, theme=look
    )  # fmt: skip
    told = ", ".join(f"dimension {d}: {float(lengths[d // 2]):,.1f} positions" for d in choices.dims)
    picture(
        figure,
        "waves",
        f"Curves over position. Wavelengths: {told}.",
        f"Wavelengths λ, dotted where a first full turn ends: {told or 'pick a dimension'}.",
    )


def _products(choices: Positions, products: np.ndarray, look: Theme) -> None:
    distance = thinned(len(products), len(products)) - choices.at
    highest = float(products.max())
    figure = curves(
        distance, {"dot product": products}, f"Dot product with position {choices.at}",
        axes=("distance from it, in positions", "dot product"), marks={"itself": 0.0}, theme=look,
    )  # fmt: skip
    picture(
        figure, "products", f"Highest, {highest:.4g}, at distance 0; falling off on both sides alike.",
        f"Highest ({highest:.4g}, half the dimensions) at the position itself, and the same on both sides. Move the position: "
        "the hill only slides along, as it depends on the distance alone.",
    )  # fmt: skip


def _wavelengths(choices: Positions, look: Theme) -> None:
    lengths = tables.wavelengths(choices.width).numpy()
    figure = curves(
        thinned(len(lengths), len(lengths)), {"wavelength": lengths, f"{choices.count} positions": lengths * 0 + choices.count},
        "Wavelength of each pair", axes=("pair (sine and cosine)", "positions to a full turn"), log=(False, True),
        colours=("position", "muted"), markers=len(lengths) <= 64, theme=look,
    )  # fmt: skip
    slow = int((lengths > choices.count).sum())
    picture(
        figure, "wavelengths", f"From {lengths[0]:.2f} to {lengths[-1]:,.0f} positions.",
        f"From {lengths[0]:.2f} (2π) to {lengths[-1]:,.0f} positions, each {lengths[1] / lengths[0]:.3g} times the one before. "
        f"{slow} of {len(lengths)} pairs do not complete a turn within these {choices.count} positions.",
    )  # fmt: skip
