"""Inside MLA's figures: boxes are to scale and stand apart, arrows are the steps' inputs, heatmaps are the tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headlight import run
from headlight.core.attention import GQA, MHA, MLA, MQA
from headlight.core.lessons.absorbing import LatentLayer
from headlight.core.positions import RoPE
from headlight.core.types import Step
from headlight.viz.figures import flow, flow_boxes, form_bars, tensor_map, token_bars
from headlight.viz.figures.mla.flow import SYMBOLS, words
from headlight.viz.figures.mla.flow_layout import DECODING, PLAIN, READING, WIDEST, extent, pixels_a_token
from headlight.viz.theme import DARK, LIGHT
from tests.core.variants import LENGTH, SIZES, build, on_random

R, N = SIZES["qk_rope_head_dim"], SIZES["n_heads"]


def latent(q_lora_rank: int = 0) -> LatentLayer:
    case = on_random(build(MLA, q_lora_rank=q_lora_rank), RoPE(R, layout="interleaved"))
    return LatentLayer(case.attention, case.params, case.position, case.x)


def attended(kind=GQA):  # type: ignore[no-untyped-def]
    return on_random(build(kind), RoPE(SIZES["head_dim"])).attend()


FORMS = {
    "mla": latent().expanded(),
    "mla, queries compressed": latent(9).expanded(),
    "absorbed": latent().absorbed(),
    "absorbed, queries compressed": latent(9).absorbed(),
    **{kind.__name__: attended(kind).steps for kind in (MHA, GQA, MQA)},
}
KEPT = {"c_kv", "k_rope"}


@pytest.mark.parametrize("form", FORMS)
def test_every_box_is_as_wide_as_its_numbers_and_as_high_as_its_tokens(form: str) -> None:
    for box in flow_boxes(FORMS[form], KEPT, pixels=3.0):
        heads = box.step.n_heads or 1
        assert box.width == heads * box.step.value.shape[-1] and box.height == 3.0 * LENGTH
        assert box.heads == heads and box.kept == (box.step.name in KEPT)


@pytest.mark.parametrize("label", [60.0, 150.0, 400.0])
@pytest.mark.parametrize("form", FORMS)
def test_no_two_boxes_touch(form: str, label: float) -> None:
    found = flow_boxes(FORMS[form], KEPT, label=label)
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            apart = one.right < other.x or other.right < one.x or one.bottom < other.y or other.bottom < one.y
            assert apart, (one.step.name, other.step.name)
    right, bottom = extent(found)
    assert all(box.x >= 0 and box.y >= 0 and box.right <= right and box.bottom <= bottom for box in found)


@pytest.mark.parametrize("form", FORMS)
def test_every_step_but_those_between_scores_and_weights_has_a_box(form: str) -> None:
    drawn = {box.step.name for box in flow_boxes(FORMS[form], KEPT)}
    assert {step.name for step in FORMS[form]} - drawn <= {"products", "masked"}
    assert {"h", "scores", "weights", "heads", "out"} <= drawn <= set(SYMBOLS)


@pytest.mark.parametrize("form", FORMS)
def test_an_arrow_leads_from_each_input_to_each_step(form: str) -> None:
    found = flow_boxes(FORMS[form], KEPT)
    sources = {box.step.name: box.sources for box in found}
    assert sources["weights"] == ("scores",) and sources["out"] == ("heads",)
    if "q_latent" not in sources:
        assert sources["scores"] == ("q", "k") and sources["heads"] == ("weights", "v")
    figure = flow(found, "t", head=1, kv_head=0)
    arrows = [each for each in figure.layout.annotations if each.showarrow]
    assert len(arrows) == sum(map(len, sources.values()))
    right, bottom = extent(found)
    assert all(-1 <= a.x <= right + 1 and 0 <= a.ay <= bottom for a in arrows)


def test_concatenation_is_seen_in_query_and_key_and_never_in_the_value() -> None:
    pieces = {box.step.name: box.pieces for box in flow_boxes(FORMS["mla"], KEPT)}
    assert pieces["k"] == (("k_nope", SIZES["qk_nope_head_dim"]), ("k_rope", R))
    assert pieces["q"] == (("q_nope", SIZES["qk_nope_head_dim"]), ("q_rope", R))
    assert pieces["v"] == (("v", SIZES["v_head_dim"]),)


def test_bars_are_the_boxes_and_what_is_kept_is_in_full_colour() -> None:
    found = flow_boxes(FORMS["mla"], KEPT, head=2)
    bars = flow(found, "t", head=2, kv_head=2).data[0]
    spans: dict[tuple[float, float], tuple[float, float]] = {}
    for base, width, y, high in zip(bars.base, bars.x, bars.y, bars.width, strict=True):
        box = next(b for b in found if b.x <= base < b.right and b.y <= y <= b.bottom)
        left, right = spans.get((box.x, box.y), (np.inf, -np.inf))
        spans[box.x, box.y] = min(left, base), max(right, base + width)
        assert (y, high) == (box.y + box.height / 2, box.height)
    assert spans == {(box.x, box.y): (box.x, box.right) for box in found}
    full = {i for i, colour in enumerate(bars.marker.color) if colour.endswith("0.92)")}
    kept = {i for i, told in enumerate(bars.customdata) if "kept by a decoder" in told}
    assert full == kept and len(full) == 2
    outlined = [told for told, line in zip(bars.customdata, bars.marker.line.color, strict=True) if line == LIGHT.ink]
    assert len(outlined) == 9 + 2 and all("head 2" in told for told in outlined)


def test_a_kv_head_is_outlined_where_heads_share_one() -> None:
    trace = attended()
    found = flow_boxes(trace.steps, set(trace.cache.tensors))
    bars = flow(found, "t", head=4, kv_head=trace.kv_head(4), theme=DARK).data[0]
    outlined = {
        t.partition("<br>")[0] for t, c in zip(bars.customdata, bars.marker.line.color, strict=True) if c == DARK.ink
    }
    assert outlined == {"q · head 4", "scores · head 4", "weights · head 4", "o · head 4", "k · head 1", "v · head 1"}
    assert {box.step.name for box in found if box.kept} == {"k", "v"}


def test_maps_that_would_be_too_wide_show_the_chosen_head_alone() -> None:
    tokens = WIDEST // N + 1
    cells = torch.zeros(N, tokens, tokens)
    steps = (Step("weights", "p", ("n_heads", "q_len", "kv_len"), cells),)
    (box,) = flow_boxes(steps, (), head=3)
    assert (box.width, box.heads, box.head) == (tokens, 1, 3) and f"{N}×{tokens}×{tokens}" in words(box)
    assert "head 3" in flow([box], "t", head=3, kv_head=0).data[0].customdata[0]
    (small,) = flow_boxes((Step("weights", "p", ("n_heads", "q_len", "kv_len"), cells[:, :5, :5]),), (), head=3)
    assert (small.heads, small.head) == (N, None)


def test_two_figures_have_one_scale() -> None:
    one, other = (flow_boxes(FORMS[form], KEPT) for form in ("mla", "MQA"))
    wide = max(extent(each)[0] for each in (one, other))
    ranges = [flow(each, "t", head=0, kv_head=0, wide=wide).layout.xaxis.range for each in (one, other)]
    assert ranges[0] == ranges[1] and ranges[0][1] >= wide


@pytest.mark.parametrize("tokens", [1, 2, 15, 18, 19, 100, 512])
def test_boxes_are_neither_flat_nor_towers(tokens: int) -> None:
    assert 24 - 1e-9 <= tokens * pixels_a_token(tokens) <= 72 + 1e-9


def test_rows_follow_the_data() -> None:
    for form, places in (("mla", READING), ("absorbed", DECODING), ("GQA", PLAIN)):
        rows = {box.step.name: box.y for box in flow_boxes(FORMS[form], KEPT)}
        for box in flow_boxes(FORMS[form], KEPT):
            assert all(rows[source] <= box.y for source in box.sources), box.step.name
        assert set(rows) <= set(places)


@pytest.mark.parametrize("name", ["h", "q", "k", "v", "scores", "masked", "weights", "out"])
def test_a_heatmap_is_the_tensor(minilm, smollm2, sentence: str, name: str) -> None:
    for model, head in ((minilm, 7), (smollm2, 2)):
        result = run(model, sentence, layers=[3])
        step = result.layers[3].step(name)
        head %= step.n_heads or 1
        figure = tensor_map(step, head, result.tokens.pieces, "title")
        expected = step.of_head(head).numpy()
        shown = np.where(np.isnan(figure.data[0].z), -np.inf, figure.data[0].z)
        np.testing.assert_array_equal(shown, expected)
        assert len(figure.layout.yaxis.ticktext) == len(result.tokens)
        assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
        low, high = figure.data[0].zmin, figure.data[0].zmax
        finite = expected[np.isfinite(expected)]
        assert (
            (low, high) == (0, 1) if name == "weights" else (low, high) == (-np.abs(finite).max(), np.abs(finite).max())
        )


def test_weights_where_nothing_may_be_seen_are_blank(smollm2, sentence: str) -> None:
    result = run(smollm2, sentence, layers=[3])
    trace = result.layers[3]
    shown = tensor_map(trace.step("weights"), 2, result.tokens.pieces, "t", mask=trace.mask.numpy()).data[0].z
    assert (np.isnan(shown) == ~trace.mask.numpy()).all()
    np.testing.assert_array_equal(shown[trace.mask], trace.weights[2][trace.mask])


def test_tokens_on_a_heatmap_are_never_markup_and_long_texts_still_name_theirs() -> None:
    step = Step("h", "h", ("q_len", "d_model"), torch.ones(60, 3))
    figure = tensor_map(step, 0, ("<b>x</b>", "$a$", *["w"] * 58), "t")
    assert figure.layout.yaxis.ticktext[:2] == ("&lt;b&gt;x&lt;/b&gt;", "&#36;a&#36;")
    assert figure.layout.yaxis.showticklabels is False and len(figure.layout.yaxis.ticktext) == 60


def test_a_map_without_a_number_still_draws() -> None:
    step = Step("masked", "s", ("q_len", "kv_len"), torch.full((2, 2), float("-inf")))
    assert tensor_map(step, 0, ("a", "b"), "t", theme=DARK).data[0].zmax == 1.0


def test_cost_bars_are_the_numbers_their_words_and_their_spread() -> None:
    figure = form_bars(
        {"a": 1.0, "b": 3.0}, "t", tell=lambda x: f"{x:g} ms", roles={"a": "latent", "b": "key"},
        spread={"a": (0.5, 1.5), "b": (2.5, 4.0)},
    )  # fmt: skip
    bars, told = figure.data
    assert tuple(bars.x) == (1, 3) and tuple(told.text) == (" 1 ms", " 3 ms") and tuple(told.x) == (1.5, 4.0)
    assert (tuple(bars.error_x.array), tuple(bars.error_x.arrayminus)) == ((0.5, 1.0), (0.5, 0.5))
    assert tuple(bars.marker.color) == (LIGHT.latent, LIGHT.key) and figure.layout.yaxis.ticktext == ("a", "b")
    assert form_bars({"a": 0.0}, "t", tell=str, roles={"a": "key"}).layout.xaxis.range[1] == 1


def test_token_bars_are_the_numbers_with_their_tokens() -> None:
    figure = token_bars(np.array([1.0, -2.0]), ("<i>", " b"), "t", axis="a")
    assert tuple(figure.data[0].y) == (1, -2) and figure.layout.xaxis.ticktext == ("&lt;i&gt;", "b")
    assert token_bars(np.zeros(70), ["w"] * 70, "t", axis="a").layout.xaxis.ticktext is None
