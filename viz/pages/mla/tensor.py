"""Inside MLA, one step's numbers: a heatmap of the chosen head, its formula beside it, and the ways to take it away."""

from __future__ import annotations

import re

import streamlit as st

from headlight.core.export import layer as export
from headlight.core.types import Step
from headlight.viz.figures import tensor_map
from headlight.viz.figures.mla.flow import SYMBOLS
from headlight.viz.pages.mla.state import Layered
from headlight.viz.pages.mla.step_names import about, symbol
from headlight.viz.theme import Theme
from headlight.viz.ui.downloads import CELL, download, notebook
from headlight.viz.ui.widgets import picture


def head_of(step: Step, here: Layered) -> int:
    """Which of the step's heads is the chosen one's."""
    if step.n_heads is None:
        return 0
    return here.kv_head if step.axes[0] == "n_kv_heads" else here.head


def tensor(here: Layered, step: Step, steps: tuple[Step, ...], look: Theme, *, name: str, code: str) -> None:
    """The heatmap, what it shows, and its exports; steps: all of the derivation, for the file of tensors."""
    head = head_of(step, here)
    title_symbol = SYMBOLS[step.name][0] if step.name in SYMBOLS else symbol(step.name)
    which = "" if step.n_heads is None else f" · {'KV head' if step.axes[0] == 'n_kv_heads' else 'head'} {head}"
    left, right = st.columns([5, 2], gap="medium")
    with left:
        title = f"{title_symbol}{which} · {here.title}, layer {here.layer}"
        mask = here.run.layers[here.layer].mask.cpu().numpy() if step.name == "weights" else None
        figure = tensor_map(step, head, here.run.tokens.pieces, title, mask=mask, theme=look)
        rows, columns = step.value.shape[-2:]
        alt = f"{symbol(step.name)}{which}: {rows} tokens by {columns} numbers. {_range(step, head)}"
        picture(figure, name, alt)
    with right:
        st.latex(step.formula)
        if about(step):
            st.markdown(f"{about(step)[:1].upper()}{about(step)[1:]}.")
        axes = zip(step.axes, step.value.shape, strict=True)
        st.markdown("Shape: " + " × ".join(f"{size} `{axis}`" for axis, size in axes))
        if step.inputs:
            st.markdown("Made from " + " and ".join(f"${_tex(source)}$" for source in step.inputs) + ".")
        st.markdown(_range(step, head))
    _take_away(here, step, steps, head, name, code)


def _range(step: Step, head: int) -> str:
    values = step.of_head(head)
    seen = values[values.isfinite()]
    return f"Its numbers run from {float(seen.min()):.3g} to {float(seen.max()):.3g}."


def _tex(name: str) -> str:
    """A symbol in TeX: c^KV as c^{KV}."""
    return (
        re.sub(r"\^(\w+)", r"^{\1}", symbol(name)).replace("q̃", r"\tilde q").replace("s, masked", r"s\text{, masked}")
    )


def _take_away(here: Layered, step: Step, steps: tuple[Step, ...], head: int, name: str, code: str) -> None:
    section = st.expander("Take it away", key=f"mla_take_{name}", on_change="rerun")
    if not section.open:
        return
    file_name = f"headlight-{here.name}-layer{here.layer}"
    with section:
        with st.container(horizontal=True):
            download(
                f"{symbol(step.name)} of this head (CSV)", lambda: export.step_to_csv(here.run.tokens, step, head),
                f"{file_name}-head{here.head}-{step.name}.csv", "text/csv", CELL * step.of_head(head).numel(),
            )  # fmt: skip
            download(
                "All steps of this layer (safetensors)",
                lambda: export.steps_to_safetensors(here.name, here.layer, here.run.tokens, steps),
                f"{file_name}-steps.safetensors", "application/octet-stream",
                sum(each.value.numel() * each.value.element_size() for each in steps),
            )  # fmt: skip
        notebook(code)
