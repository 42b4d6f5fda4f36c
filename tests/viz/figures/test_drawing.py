"""Drawings, which go to the browser without Plotly's checks, pass them and say what the checked figures say."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import pytest

from headlight import run
from headlight.core.analysis.head_scores import survey
from headlight.core.types import Run
from headlight.viz.figures.drawing import Drawing
from headlight.viz.figures.explore.derivation import cell, row_bars, score_bars, value_bars
from headlight.viz.figures.explore.head_map import head_drawing
from headlight.viz.figures.explore.survey_map import survey_drawing
from headlight.viz.theme import DARK, LIGHT, Theme
from tests.viz.texts import HOSTILE

Maker = Callable[[Run, Theme], Drawing]
MADE: dict[str, Maker] = {
    "head map": lambda result, look: head_drawing(result, 3, 1, theme=look),
    "head map, first token left out": lambda result, look: head_drawing(result, 3, 1, skip_first=True, theme=look),
    "survey": lambda result, look: survey_drawing(
        survey(result, "weight", 1, 0).numpy(), "weight", chosen=(1, 2), theme=look
    ),
    "survey, none chosen": lambda result, look: survey_drawing(
        survey(result, "entropy", 1, 0).numpy(), "bits", theme=look
    ),
    "score": lambda result, look: score_bars(cell(result.layers[2], 1, 1, 0), theme=look),
    "row": lambda result, look: row_bars(cell(result.layers[2], 1, 1, 0), result, 0, theme=look),
    "values": lambda result, look: value_bars(cell(result.layers[2], 1, 1, 0), theme=look),
}


def told(json_text: str) -> object:
    """What a figure's JSON says, its arrays read: plotly's own writer picks the narrowest type, ours does not."""
    types = {"f4": "<f4", "f8": "<f8", "i1": "<i1", "i2": "<i2", "i4": "<i4", "u1": "<u1", "u2": "<u2", "u4": "<u4"}

    def read(part: dict[str, object]) -> object:
        if "bdata" not in part:
            return part

        flat = np.frombuffer(base64.b64decode(str(part["bdata"])), types[str(part["dtype"])])
        return part.get("shape"), [None if np.isnan(x) else x for x in flat.tolist()]

    return json.loads(json_text, object_hook=read)


@pytest.mark.parametrize("text", ["A dog saw a cat", *HOSTILE[:3], "a cow " * 60])
@pytest.mark.parametrize("look", [LIGHT, DARK], ids=lambda look: look.name)
@pytest.mark.parametrize("name", MADE)
def test_a_drawing_is_what_its_checked_figure_is(minilm, name: str, look: Theme, text: str) -> None:
    drawing = MADE[name](run(minilm, text), look)
    figure = drawing.figure()
    assert told(drawing.to_json()) == told(figure.to_json())
    assert drawing.height == figure.layout.height


def test_the_checks_find_what_is_spelled_wrongly() -> None:
    with pytest.raises(ValueError, match="Invalid value"):
        Drawing([{"type": "bar", "y": [1], "opacity": 7}], {}).figure()
    loose = Drawing([], {"title": "words"})  # no object: plotly.js would leave it out
    assert json.loads(loose.figure().to_json())["layout"]["title"] != json.loads(loose.to_json())["layout"]["title"]


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint8", "float32", "float64"])
def test_arrays_arrive_as_they_were(dtype: str) -> None:
    values = np.array([[1, 2, 3], [5, 7, 11]]).astype(dtype)
    sent = Drawing([{"type": "heatmap", "z": values}], {}).to_json()
    assert told(sent)["data"][0]["z"] == ("2, 3", values.ravel().tolist())  # type: ignore[index]
    np.testing.assert_array_equal(go.Figure(json.loads(sent)).to_dict()["data"][0]["z"]["shape"], "2, 3")


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="not set"):
        Drawing([{"type": "bar", "y": {1}}], {}).to_json()
