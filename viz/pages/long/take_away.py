"""Long texts' exits: the numbers as CSV, and the same thing in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from headlight.core.errors import InputError
from headlight.core.export.table import to_csv
from headlight.core.long.profile import FAR, LOCAL, profile
from headlight.core.long.reading import Reading
from headlight.viz import store
from headlight.viz.pages.long.choices import OWN, LongChoices, grain
from headlight.viz.ui.downloads import notebook

if TYPE_CHECKING:
    from torch import Tensor


def draw(choices: LongChoices, key: str, length: int) -> None:
    """Rows and profiles as CSV (made when asked for), and the calls that make the map."""
    section = st.expander("Take it away", key="long_take", on_change="rerun")
    if not section.open:
        return
    layer, head = choices.layer or 0, choices.head or 0
    token = choices.query or 0

    def row() -> str:
        reading = _reading(key)
        p = store.readings().projections(key, reading, layer)
        weights = reading.model.attention.rows(p, slice(token, token + 1))[:, 0]
        return to_csv(weights.T.cpu(), [f"head {i}" for i in range(len(weights))], "key")

    def numbers() -> str:
        reading = _reading(key)
        made = profile(reading.model.attention, store.readings().projections(key, reading, layer), reading.tokens.ids)
        columns = {
            "first token": made.first[head],
            f"nearest {LOCAL}": made.near[head],
            f"beyond {FAR}": made.far[head],
        }
        return to_csv(_stack(columns), list(columns), "query")

    with section:
        with st.container(horizontal=True):
            for title, make in (
                (f"Where token {token} looks, all heads", row),
                (f"Head {head} over the text", numbers),
            ):
                st.download_button(
                    f"{title} (CSV)", make, f"headlight-layer{layer}.csv", "text/csv", on_click="ignore",
                    icon=":material/download:",
                )  # fmt: skip
        notebook(_code(choices, length))


def _reading(key: str) -> Reading:
    found = store.readings().reading(key)
    if found is None:
        raise InputError("this text is no longer kept here; open the page again")
    return found


def _stack(columns: Mapping[str, Tensor]) -> Tensor:
    first, *others = columns.values()
    return first.new_tensor([c.tolist() for c in (first, *others)]).T


def _text_code(example: str) -> str:
    if example == OWN:
        return 'text = open("your-text.txt", encoding="utf-8").read()'
    return f"text = next(each.text for each in long_texts() if each.name == {example!r})"


def _code(choices: LongChoices, length: int) -> str:
    (q0, q1, k0, k1), cell = grain(choices.view or (0, length, 0, length), length)
    return (
        "from headlight import load_model\nfrom headlight.core.long.document import long_texts\n"
        "from headlight.core.long.pooling import Region, pool\n"
        "from headlight.core.long.reading import read\n\n"
        f"model = load_model({choices.model!r})\n"
        f"{_text_code(choices.example)}\n"
        "reading = read(model, model.tokens(text))\n"
        f"cells = pool(model.attention, reading.projections({choices.layer}), Region(({q0}, {q1}), ({k0}, {k1}), {cell}), "
        f"[{choices.head}])\n"
        f"cells.largest[0], cells.mass[0]  # of {cell} x {cell} tokens each\n"
    )
