"""Explore's exits: a link, the picture, the numbers, the page, and the same thing in a notebook."""

from __future__ import annotations

import streamlit as st

from headlight.core.export import layer as export
from headlight.core.types import Run
from headlight.viz import store
from headlight.viz.figures import head_map, offline_page
from headlight.viz.figures.summary import cell_sentence, head_sentence
from headlight.viz.pages.explore.choices import View
from headlight.viz.theme import Theme
from headlight.viz.ui.downloads import CELL, download, notebook

PLOTLY = 5_000_000  # bytes of plotly.js, which comes with the page


def draw(result: Run, view: View, look: Theme) -> None:
    """Downloads are made when they are asked for, not before; a closed section costs nothing."""
    section = st.expander("Take it away", key="takeaway", on_change="rerun")
    if not section.open:
        return
    with section:
        name = f"headlight-{view.model}-layer{view.layer}-head{view.head}"
        text = result.tokens.text

        def again() -> Run:
            # When it is asked for: a button that held the run itself would keep it for as long as the page is open.
            return store.run(view.model, text)

        cells, layer = len(result.tokens) ** 2, result.trace_nbytes + result.nbytes // len(result.layers)
        with st.container(horizontal=True):
            download(
                "Weights of this head (CSV)", lambda: export.to_csv(again(), view.layer, view.head), f"{name}.csv",
                "text/csv", CELL * cells,
            )  # fmt: skip
            download(
                "Tensors of this layer (safetensors)", lambda: export.to_safetensors(again(), view.layer),
                f"{name}.safetensors", "application/octet-stream", layer,
            )  # fmt: skip
            download(
                "Tensors of this layer (npz)", lambda: export.to_npz(again(), view.layer), f"{name}.npz",
                "application/octet-stream", layer,
            )  # fmt: skip
            download(
                "This picture as a page (HTML, works offline)", lambda: _page(again(), view, look), f"{name}.html",
                "text/html", PLOTLY + CELL * cells,
            )  # fmt: skip
        notebook(_snippet(view))


def _page(result: Run, view: View, look: Theme) -> str:
    figure = head_map(result, view.layer, view.head, skip_first=view.skip_first, theme=look)
    summary = head_sentence(result, view.layer, view.head, view.query)
    summary += f" {cell_sentence(result, view.layer, view.head, view.query, view.key)}."
    return offline_page(result, view.layer, view.head, figure, summary, look.ink, look.ground)


def _snippet(view: View) -> str:
    return (
        "import headlight as hl\n\n"
        f"model = hl.load_model({view.model!r})\n"
        f"result = hl.run(model, {view.text!r}, layers=[{view.layer}])\n"
        f"result.layers[{view.layer}].weights[{view.head}, {view.query}, {view.key}]\n"
        f"hl.head_map(result, layer={view.layer}, head={view.head})\n"
    )
