"""Positions, learned: MiniLM's real table, and how alike its positions are, beside the sinusoidal ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.errors import HeadlightError
from headlight.core.export.table import to_csv
from headlight.core.lessons import tables
from headlight.core.model import Model
from headlight.core.positions import Learned
from headlight.core.registry import MODELS
from headlight.viz import store
from headlight.viz.figures import curves, signed_map
from headlight.viz.figures.positions.maps import thinned
from headlight.viz.pages.positions.choices import Positions, state
from headlight.viz.text import markdown_text
from headlight.viz.theme import Theme
from headlight.viz.ui.widgets import picture, take_away

if TYPE_CHECKING:
    from torch import Tensor

_INTRO = (
    "BERT, GPT-2 and MiniLM learn one vector per position and add it to the token's. Nobody told this table that 7 comes after "
    "6; what it knows of order, training put there. Beyond its last row it knows nothing."
)


def draw(choices: Positions, look: Theme) -> tuple[Positions, list[str]]:
    """The table, the two similarity maps, and one row of each as curves."""
    st.markdown(_INTRO)
    if not MODELS["minilm"].installed:
        st.info("MiniLM is not installed here; `make run` brings it.", icon=":material/info:")
        return choices, []
    try:
        model = store.model("minilm")
    except HeadlightError as error:
        st.warning(markdown_text(str(error)), icon=":material/error:")
        return choices, []
    if not isinstance(model, Model) or not isinstance(model.position, Learned):
        return choices, ["This MiniLM has no table of learned positions."]
    whole_table = model.position.table.detach().cpu()
    count, width = min(choices.learned, len(whole_table)), whole_table.shape[1]
    at = min(choices.at, count - 1)
    with state.row("learned"):
        state.slider("Positions", "learned", count, 8, len(whole_table), width=260)
        state.slider("Compare with position", "at", at, 0, count - 1, width=260)
    learned, made = whole_table[:count], tables.sinusoidal(count, width)
    _table(learned, look)
    similar = {"learned, in MiniLM": tables.cosines(learned), "sinusoidal, as wide": tables.cosines(made)}
    for column, (name, cosines) in zip(st.columns(2, gap="medium"), similar.items(), strict=True):
        with column:
            _similar(name, cosines, look)
    _row(similar, at, look)
    take_away(
        state,
        "learned",
        "from headlight import load_model\nfrom headlight.core.lessons import tables\n"
        f'table = load_model("minilm").position.table[:{count}]  # ({count}, {width})\n'
        f"tables.cosines(table), tables.cosines(tables.sinusoidal({count}, {width}))",
        {"Cosine similarity": lambda: to_csv(tables.cosines(learned), range(count), "position")},
    )
    return choices, []


def _table(table: Tensor, look: Theme) -> None:
    rows, columns = thinned(len(table)), thinned(table.shape[1], 384)
    values = table.numpy()[rows][:, columns]
    limit = float(table.abs().flatten().quantile(0.995)) or 1.0
    figure = signed_map(
        values, "MiniLM's table: one row per position", axes=("dimension", "position"), legend="added", limit=limit,
        across=columns, down=rows, height=320, theme=look,
    )  # fmt: skip
    picture(
        figure, "learned", f"Learned table of {len(table)} positions and {table.shape[1]} dimensions.",
        f"{len(table)} of its positions, all {table.shape[1]} dimensions as trained. The strongest colours stand for "
        f"{limit:.2g} and more; the largest number is {float(table.abs().max()):.3f}."
        + ("" if len(rows) == len(table) else f" Every {rows[1]}th position is drawn."),
    )  # fmt: skip


def _similar(name: str, cosines: Tensor, look: Theme) -> None:
    rows = thinned(len(cosines))
    figure = signed_map(
        cosines.numpy()[rows][:, rows], f"Cosine similarity: {name}", axes=("position", "position"), legend="cosine",
        limit=1.0, across=rows, down=rows, square=True, height=420, theme=look,
    )  # fmt: skip
    next_door, far = cosines.diagonal(1), float(cosines.diagonal(len(cosines) // 2).mean())
    least, most, mean = (float(each) for each in (next_door.min(), next_door.max(), next_door.mean()))
    told = f"Neighbours: {mean:.3f} on average ({least:.3f} to {most:.3f}); half the table apart: {far:.3f}."
    picture(figure, "similar_" + name.split(",")[0], f"{name}. {told}", told)


def _row(similar: Mapping[str, Tensor], at: int, look: Theme) -> None:
    lines = {name: cosines[at].numpy() for name, cosines in similar.items()}
    count = len(next(iter(lines.values())))
    figure = curves(
        thinned(count, count), lines, f"Similarity with position {at}", axes=("position", "cosine"), marks={f"{at}": float(at)},
        colours=("value", "position"), theme=look,
    )  # fmt: skip
    near = {name: float(y[max(0, at - 1)]) for name, y in lines.items()}
    told = ", ".join(f"{name} {value:.3f}" for name, value in near.items())
    picture(
        figure, "similarity_row", f"With the position before it: {told}.",
        "The sinusoidal curve is the same hill around any position. The learned one was found by training and differs from "
        "place to place, with ripples of its own; position 0, where every text begins, is like no other.",
    )  # fmt: skip
