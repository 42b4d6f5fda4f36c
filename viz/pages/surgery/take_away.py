"""Surgery's exits: the numbers as CSV, the converted layer as safetensors, a continuation to read, the notebook's calls."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from headlight.core.decoding import Continuation
from headlight.core.export.surgery import curve_csv, layer_safetensors, weights_csv
from headlight.core.surgery import Decouple
from headlight.core.surgery.methods import METHODS
from headlight.viz import store
from headlight.viz.pages.surgery.choices import SurgeryChoices
from headlight.viz.pages.surgery.state import Shown, curve_points
from headlight.viz.ui.downloads import CELL, download, notebook

_NEW = 24  # tokens of a continuation


def writes(choices: SurgeryChoices, shown: Shown) -> None:
    """The sentence continued by the model as trained and converted, with the cache that each really keeps."""
    if shown.model.head is None:
        return
    section = st.expander("What it writes now", key="surgery_writes", on_change="rerun")
    if not section.open:
        return
    with section:
        tokens = store.engine().tokens(shown.name, choices.text)
        converted = store.conversions().model(shown.name, shown.conversion, shown.setting)
        for title, model in (("As trained", shown.model), ("Converted, all layers", converted)):
            continuation = Continuation(model, tokens)
            while len(continuation.steps) < _NEW and not continuation.full:
                store.advance(continuation)
            decoder = continuation.decoder
            st.markdown(f"**{title}**")
            st.text("".join(step.text for step in continuation.steps))
            st.caption(
                f"The caches hold {decoder.nbytes:,} bytes for {decoder.length} tokens in {model.n_layers} layers (float32): "
                f"{model.attention.cached_elements_per_token()} values per token per layer."
            )
        st.caption("The likeliest token each time, with the real cache, 24 tokens.")


def draw(choices: SurgeryChoices, shown: Shown) -> None:
    """Downloads are made when they are asked for; a closed section costs nothing."""
    section = st.expander("Take it away", key="surgery_takeaway", on_change="rerun")
    if not section.open:
        return
    layer, head = choices.layer or 0, choices.head or 0
    name = f"headlight-{shown.name}-{choices.method}-{shown.setting}-layer{layer}"
    # What the buttons hold is kept for as long as the page is open: one head's maps, not the run.
    light, tokens, mask = shown.without_numbers(), shown.run.tokens, shown.run.layers[layer].mask.cpu()
    before, after = shown.before[head].cpu().clone(), shown.after[head].cpu().clone()
    with section:
        with st.container(horizontal=True):
            download(
                "Before and after (CSV)",
                lambda: weights_csv(tokens, before, after, mask),
                f"{name}-head{head}.csv", "text/csv", 4 * CELL * shown.before[head].numel(),
            )  # fmt: skip
            _download(
                "The curves so far (CSV)",
                f"headlight-{shown.name}-surgery.csv",
                "text/csv",
                lambda: _curves(choices, light),
            )
            _download(
                "The converted layer (safetensors)", f"{name}.safetensors", "application/octet-stream",
                lambda: layer_safetensors(light.name, layer, light.conversion, light.setting, light.converted),
            )  # fmt: skip
        notebook(_snippet(choices, shown))


def _download(label: str, file_name: str, mime: str, make: Callable[[], str | bytes]) -> None:
    st.download_button(label, make, file_name, mime, on_click="ignore", icon=":material/download:")


def _curves(choices: SurgeryChoices, shown: Shown) -> str:
    rows = []
    for name, points in curve_points(choices, shown.model).items():
        for point in points:
            result = store.conversions().result(point)
            if result is not None and not result.failure:
                attention = point.conversion.attention(shown.source, point.setting)
                exact = point.conversion.exact(shown.source, shown.model.position, point.setting)
                kept = attention.cached_elements_per_token()
                rows.append(
                    (METHODS[name].title, point.setting, kept, shown.cached_bytes(attention), result.value, exact)
                )
    return curve_csv(rows, store.conversions().measure(shown.name))


def _snippet(choices: SurgeryChoices, shown: Shown) -> str:
    conversion = shown.conversion
    calls = f"{type(conversion).__name__}({', '.join(_fields(choices))})"
    moments = "second_moments(model, calibration().passages)" if conversion.calibrated else "None"
    return (
        "from headlight import load_model, run\n"
        "from headlight.core.surgery.held_out import Evaluation, calibration, held_out\n"
        f"from headlight.core.surgery import {type(conversion).__name__}\n"
        "from headlight.core.surgery.calibration import second_moments\n"
        "from headlight.core.surgery.whole import convert_model\n\n"
        f"model = load_model({choices.model!r})\n"
        f"converted = convert_model(model, {calls}, {shown.setting}, {moments})\n"
        f"result = run(converted, {choices.text!r}, layers=[{choices.layer}])  # all layers converted\n"
        f"result.layers[{choices.layer}].weights[{choices.head}]\n"
        f"Evaluation.of(model, held_out()).value(converted)  # {store.conversions().measure(shown.name)}\n"
    )


def _fields(choices: SurgeryChoices) -> list[str]:
    conversion = choices.conversion
    if isinstance(conversion, Decouple):
        return [f"rotary={conversion.rotary}", f"choice={conversion.choice!r}", f"weighted={conversion.weighted}"]
    return [f"seed={choices.seed}"] if choices.method in ("random", "fresh") else []
