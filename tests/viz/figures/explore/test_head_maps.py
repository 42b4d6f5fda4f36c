"""All heads of a layer as small pictures, and all heads of all layers as numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headlight import run
from headlight.core.analysis.head_scores import survey
from headlight.core.types import Run
from headlight.viz.figures import head_maps, survey_map
from headlight.viz.figures.explore.head_maps import SIDE
from headlight.viz.theme import DARK, LIGHT

LAYER = 3


@pytest.fixture(params=["minilm", "smollm2"])
def result(request, sentence) -> Run:
    return run(request.getfixturevalue(request.param), sentence)


def test_a_small_map_is_the_traces_weights_in_256_steps(result):
    maps, mask = head_maps(result, LAYER)
    trace = result.layers[LAYER]
    assert (maps.dtype, mask.dtype) == (np.uint8, bool)
    np.testing.assert_array_equal(mask, trace.mask.numpy())
    np.testing.assert_allclose(maps / 255, trace.weights.numpy(), rtol=0, atol=0.5 / 255 + 1e-6)


def test_small_maps_without_the_first_token_share_one_scale(result):
    maps, _ = head_maps(result, LAYER, skip_first=True)
    weights = result.layers[LAYER].weights
    top = weights[:, :, 1:].max()
    expected = (weights / top).clamp(max=1).numpy()
    np.testing.assert_allclose(maps / 255, expected, rtol=0, atol=0.5 / 255 + 1e-6)
    assert maps[:, :, 1:].max() == 255


@pytest.mark.parametrize("name", ["minilm", "smollm2"])
@pytest.mark.parametrize("words", [130, 211, 307])
def test_a_cell_of_a_long_texts_map_is_the_largest_weight_of_its_block(request, name, words):
    model = request.getfixturevalue(name)
    result = run(model, " ".join(["animal", "street", "fox"][i * i % 3] for i in range(words)), layers=[LAYER])
    trace = result.layers[LAYER]
    maps, mask = head_maps(result, LAYER)
    length = len(result.tokens)
    block = 2 if length <= 2 * SIDE else 3
    side = -(-length // block)
    assert maps.shape == (trace.n_heads, side, side)
    assert side <= SIDE
    for t in range(0, side, 17):
        for u in range(0, side, 13):
            rows, columns = slice(t * block, (t + 1) * block), slice(u * block, (u + 1) * block)
            allowed = trace.mask[rows, columns]
            assert mask[t, u] == bool(allowed.any())
            expected = trace.weights[:, rows, columns].flatten(1).max(-1).values.numpy()
            np.testing.assert_allclose(maps[:, t, u] / 255, expected, rtol=0, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_survey_map_holds_one_cell_a_head(result, theme):
    values = survey(result, "weight", 4, 2).numpy()
    figure = survey_map(values, "weight", chosen=(3, 1), theme=theme)
    heat, layout = figure.data[0], figure.layout
    np.testing.assert_array_equal(heat.z, values)
    assert (heat.zmin, heat.zmax) == (0, 1)
    assert heat.hovertemplate == "layer %{y} · head %{x}: %{z:.3f} weight<extra></extra>"
    assert tuple(layout.xaxis.range) == (-0.5, values.shape[1] - 0.5)
    assert tuple(layout.yaxis.range) == (values.shape[0] - 0.5, -0.5)  # the first layer on top
    (frame,) = layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (0.5, 1.5, 2.5, 3.5)


def test_the_survey_map_of_bits_ends_at_its_largest_value(result):
    values = survey(result, "entropy", None, 0).numpy()
    heat = survey_map(values, "bits").data[0]
    assert (heat.zmin, heat.zmax) == (0, pytest.approx(float(values.max())))
    assert heat.colorbar.title.text == "bits"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", ["weight", "bits"])
def test_a_survey_that_is_undefined_everywhere_is_drawn_blank(unit):
    values = torch.full((2, 3), float("nan")).numpy()
    heat = survey_map(values, unit).data[0]
    assert np.isnan(heat.z).all()
    assert heat.zmax > 0
    assert not survey_map(values, unit).layout.shapes
