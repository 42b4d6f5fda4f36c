"""Maps for comparing: every cell is the number it stands for, on one scale; labels are never markup."""

from __future__ import annotations

import json

import numpy as np
import pytest
from plotly.colors import sample_colorscale, unlabel_rgb

from headlight import run
from headlight.core.analysis.compare import best_matches, read_alike, same_heads
from headlight.viz.figures import difference_map, distance_map, weight_map
from headlight.viz.figures.compare.maps import FAINTEST, difference, difference_limit
from headlight.viz.figures.explore.head_map import visible_weights
from headlight.viz.theme import DARK, LIGHT
from tests.viz.texts import HOSTILE

NAMES = ("one", "two", "three")
A = np.array([[1, np.nan, np.nan], [0.25, 0.75, np.nan], [0.5, 0.2, 0.3]], np.float32)
B = np.array([[0.6, 0.4, np.nan], [0.5, 0.5, np.nan], [0.1, 0.2, 0.7]], np.float32)


@pytest.fixture(scope="module")
def readings(minilm, smollm2):
    line = "Tom didn't see the 🦊, but Anna did."
    return read_alike([run(minilm, line), run(smollm2, line)])


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("narrow", [False, True])
def test_every_cell_is_the_readings_weight_on_one_scale(readings, theme, narrow):
    names, both = readings
    for reading in both:
        weights, mask = reading.weights(3)[1].numpy(), reading.mask(3).numpy()
        figure = weight_map(visible_weights(weights, mask), names, "x", top=0.5, narrow=narrow, theme=theme)
        heat = figure.data[0]
        np.testing.assert_allclose(heat.z, np.where(mask, weights, np.nan), rtol=0, atol=1e-7)
        assert (heat.zmin, heat.zmax, heat.showscale) == (0, 0.5, False)
        assert tuple(figure.layout.xaxis.ticktext) == names


def test_the_legend_stands_beside_one_map_and_all_are_of_one_size():
    with_one, without = (weight_map(A, NAMES, "x", legend=legend) for legend in ("weight", None))
    assert with_one.data[0].colorbar.title.text == "weight"
    assert with_one.layout.margin == without.layout.margin
    assert with_one.layout.height == without.layout.height


def test_a_difference_is_other_minus_first_and_zero_stands_for_what_one_alone_may_not_see():
    expected = np.array([[-0.4, 0.4, np.nan], [0.25, -0.25, np.nan], [-0.4, 0, 0.4]], np.float32)
    np.testing.assert_allclose(difference(A, B), expected, rtol=0, atol=1e-7)
    figure = difference_map(A, B, NAMES, "b minus a", limit=0.4)
    np.testing.assert_array_equal(figure.data[0].z, difference(A, B))
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-0.4, 0.4)


def test_one_limit_serves_all_differences_and_rounding_is_not_blown_up():
    assert difference_limit([difference(A, B), difference(B, A)]) == pytest.approx(0.4)
    assert difference_limit([difference(A, A + 3e-8)]) == FAINTEST
    assert difference_limit([]) == FAINTEST


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_no_difference_is_the_ground_and_both_directions_lead_away_from_it_in_lightness_and_differ_in_blue(theme):
    colours = np.array(
        [unlabel_rgb(c) for c in sample_colorscale(theme.diverging_scale, np.linspace(0, 1, 9).tolist())]
    )
    light = colours @ [0.2126, 0.7152, 0.0722]
    away = np.abs(light - light[4])
    assert np.all(np.diff(away[4:]) > 0) and np.all(np.diff(away[4::-1]) > 0)
    assert theme.diverging[4] == theme.ramp[0]
    purple, orange = colours[:4, 2] - colours[:4, 0], colours[5:, 0] - colours[5:, 2]
    assert np.all(purple > 0) and np.all(orange > 0)


def test_distances_are_drawn_head_by_head_and_name_their_matches(readings):
    first, other = readings[1]
    found = best_matches(first, other)
    values = [[match.distance for match in row] for row in found]
    told = [[f"layer {match.layer} head {match.head}" for match in row] for row in found]
    figure = distance_map(values, "to", top=1.0, chosen=(3, 1), matches=told)
    np.testing.assert_allclose(figure.data[0].z, values, rtol=0, atol=1e-7)
    assert [list(row) for row in figure.data[0].text] == told
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].y0) == (0.5, 2.5)
    same = same_heads(first, first).tolist()
    assert np.abs(distance_map(same, "to", top=1.0).data[0].z).max() < 1e-6


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_and_no_title_becomes_markup_tex_or_a_template(text):
    figures = [
        weight_map(A, (text,) * 3, text), difference_map(A, B, (text,) * 3, text, limit=1.0),
        distance_map([[0.5]], text, top=1.0, matches=[[text]]),
    ]  # fmt: skip
    for figure in figures:
        drawn = json.loads(figure.to_json())
        drawn["layout"].pop("template", None)
        assert not set(drawn["layout"]["title"]["text"]) & set("<>$")
        for name in ("xaxis", "yaxis", "xaxis2", "yaxis2"):
            assert not set("".join(drawn["layout"].get(name, {}).get("ticktext", []))) & set("<>$")
        assert not set("".join(name for row in drawn["data"][0].get("text", []) for name in row)) & set("<>$")
        assert drawn["data"][0]["hovertemplate"].startswith(("%{y} looks at", "layer %{y}"))


def test_labels_of_a_long_text_are_thinned_and_stand_at_their_tokens():
    names = tuple(f"w{i}" for i in range(90))
    layout = weight_map(np.zeros((90, 90), np.float32), names, "x", narrow=True).layout
    assert len(layout.xaxis2.ticktext) <= 22
    assert [names[i] for i in layout.xaxis2.tickvals] == list(layout.xaxis2.ticktext)
    assert len(layout.xaxis.ticktext) == 90
