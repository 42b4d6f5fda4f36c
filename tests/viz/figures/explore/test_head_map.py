"""The map of one head: every cell, label and range is the trace's."""

from __future__ import annotations

import html
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headlight import run
from headlight.core.errors import InputError
from headlight.core.types import Run
from headlight.viz.figures import head_map
from headlight.viz.figures.explore.head_map import MAX_LABELS, colour_top
from headlight.viz.text import visible
from headlight.viz.theme import DARK, LIGHT
from tests.viz.texts import HOSTILE

LAYER, HEAD = 3, 1
HOVER = "%{y} looks at %{x}: %{z:.3f}<extra></extra>"


@pytest.fixture(params=["minilm", "smollm2"])
def result(request, sentence) -> Run:
    return run(request.getfixturevalue(request.param), sentence)


@pytest.mark.parametrize("skip_first", [False, True])
@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_every_cell_is_the_traces_weight_and_masked_cells_are_blank(result, skip_first, theme):
    trace = result.layers[LAYER]
    z = head_map(result, LAYER, HEAD, skip_first=skip_first, theme=theme).data[0].z
    assert z.dtype == np.float32
    expected = np.where(trace.mask.numpy(), trace.weights[HEAD].numpy(), np.nan)
    np.testing.assert_array_equal(z, expected)
    assert np.isnan(z).any() == (result.model == "smollm2")


def test_the_colour_scale_goes_from_0_to_1_unless_the_legend_says_otherwise(result):
    heat = head_map(result, LAYER, HEAD).data[0]
    assert (heat.zmin, heat.zmax, heat.colorbar.title.text) == (0, 1, "weight")
    heat = head_map(result, LAYER, HEAD, skip_first=True).data[0]
    rest = result.layers[LAYER].weights[HEAD, :, 1:].max()
    assert (heat.zmin, heat.zmax) == (0, pytest.approx(float(rest)))
    assert "first token left out of the scale" in heat.colorbar.title.text


def test_a_text_of_one_token_still_has_a_scale(smollm2):
    result = run(smollm2, "a")
    assert head_map(result, 0, 0, skip_first=True).data[0].zmax == 1
    assert colour_top(np.zeros((3, 3), np.float32), True) == 1
    assert colour_top(np.array([[np.nan, 0.25], [0.9, np.nan]], np.float32), True) == 0.25


def test_rows_are_queries_from_the_top_and_columns_are_keys_from_the_left(result):
    layout, size = head_map(result, LAYER, HEAD).layout, len(result.tokens)
    for axis in (layout.xaxis, layout.xaxis2):
        assert tuple(axis.range) == (-0.5, size - 0.5)
    for axis in (layout.yaxis, layout.yaxis2):
        assert tuple(axis.range) == (size - 0.5, -0.5)
    assert (layout.xaxis2.title.text, layout.yaxis2.title.text) == ("key, looked at", "query, looking")
    assert layout.title.text == f"Layer {LAYER} · head {HEAD}"
    assert layout.yaxis.scaleanchor == "x"


def test_hovering_names_query_key_and_weight(result):
    figure = head_map(result, LAYER, HEAD)
    heat, layout = figure.data[0], figure.layout
    assert heat.hovertemplate == HOVER
    assert heat.hoverongaps is False
    for axis in (layout.xaxis, layout.yaxis):
        assert list(axis.tickvals) == list(range(len(result.tokens)))
        assert [html.unescape(name) for name in axis.ticktext] == [visible(piece) for piece in result.tokens.pieces]


@pytest.mark.parametrize("words", [30, 100, 400])
def test_labels_beside_a_long_map_are_thinned_and_each_stands_at_its_token(minilm, words):
    result = run(minilm, "the animal street " * (words // 3), layers=[LAYER])
    figure = head_map(result, LAYER, HEAD)
    for axis in (figure.layout.xaxis2, figure.layout.yaxis2):
        assert len(axis.ticktext) == len(axis.tickvals) <= MAX_LABELS
        assert [result.tokens.pieces[i] for i in axis.tickvals] == list(axis.ticktext)
    assert len(figure.layout.xaxis.ticktext) == len(result.tokens)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup_tex_or_a_template(minilm, smollm2, text):
    for model in (minilm, smollm2):
        result = run(model, text, layers=[LAYER])
        figure = head_map(result, LAYER, HEAD)
        assert figure.data[0].hovertemplate == HOVER
        assert figure.layout.title.text == f"Layer {LAYER} · head {HEAD}"
        plain = head_map(run(model, "x", layers=[LAYER]), LAYER, HEAD)
        assert _strings_outside_labels(figure) == _strings_outside_labels(plain)
        for label in _labels(figure):
            assert not set(label) & set("<>$")


def _labels(figure):
    axes = (getattr(figure.layout, name) for name in ("xaxis", "yaxis", "xaxis2", "yaxis2"))
    return [label for axis in axes for label in axis.ticktext]


def _strings_outside_labels(figure) -> set[str]:
    def walk(value, key=""):
        if key in ("ticktext", "bdata", "shape"):  # labels; an array's numbers and its size
            return
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for name, inner in value.items():
                yield from walk(inner, name)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner, key)

    drawn = json.loads(figure.to_json())
    drawn["layout"].pop("template", None)
    return set(walk(drawn))


@settings(max_examples=25)
@given(text=st.text(min_size=1, max_size=60) | st.text(st.characters(exclude_categories=()), max_size=20))
def test_any_text_can_be_drawn(reader, text):
    try:
        result = reader(text)
    except InputError:
        return
    figure = head_map(result, LAYER, HEAD)
    drawn = json.loads(figure.to_json())
    assert len(drawn["layout"]["xaxis"]["ticktext"]) == len(result.tokens)
    assert all(not set(label) & set("<>$") for label in _labels(figure))


@pytest.fixture(scope="module")
def reader(minilm):
    return lambda text: run(minilm, text, layers=[LAYER])


@pytest.mark.parametrize("head", [-1, 12])
def test_a_head_that_does_not_exist_is_refused(minilm, sentence, head):
    with pytest.raises(InputError, match=f"head {head} does not exist: layer 3 has heads 0 to 11"):
        head_map(run(minilm, sentence), LAYER, head)


def test_a_layer_that_was_not_traced_is_refused(minilm, sentence):
    with pytest.raises(InputError, match="layer 2 was not traced; traced were 3"):
        head_map(run(minilm, sentence, layers=[3]), 2, HEAD)
