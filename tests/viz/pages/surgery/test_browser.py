"""Surgery in a real browser: a slider moves the maps, they are core's numbers, the curve arrives, Back undoes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load

from headlight import load_model, run
from headlight.core.surgery import JointSVD, MeanPooling
from headlight.core.surgery.calibration import inputs
from headlight.core.surgery.held_out import Evaluation, held_out
from headlight.core.surgery.whole import convert_model, distances, layer_of, weights_of
from tests.visiting import until
from tests.viz.pages.compare.test_browser import click_cell, numbers, plot
from tests.viz.pages.explore.test_browser import link

pytestmark = pytest.mark.browser
Opener = Callable[..., Page]
TEXT = "Tom saw the old dog, and the old dog saw Tom."
LINK = {
    "path": "surgery",
    "first": "surgery_after",
    "text": TEXT,
    "model": "minilm",
    "method": "svd",
    "layer": 3,
    "head": 1,
}


def expected(model, rank: int, layer: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tokens = model.tokens(TEXT)
    before = run(model, tokens).layers[layer].weights
    after = weights_of(model, JointSVD().convert(layer_of(model, layer), rank), inputs(model, tokens)[layer])
    return before.numpy(), after.numpy(), distances(before, after).numpy()


def test_a_slider_changes_the_map_to_cores_numbers_and_back_undoes(open_page: Opener, minilm) -> None:
    page = open_page(rank=100, **LINK)
    before, after, apart = expected(minilm, 100)
    np.testing.assert_allclose(numbers(page, "surgery_before"), before[1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(numbers(page, "surgery_after"), after[1], rtol=0, atol=1e-4)
    np.testing.assert_allclose(numbers(page, "surgery_change"), after[1] - before[1], rtol=0, atol=1e-4)
    bars = page.evaluate(f"Array.from({plot('surgery_heads_apart')}._fullData[0].y)")
    np.testing.assert_allclose(bars, apart, rtol=0, atol=1e-4)
    page.get_by_role("slider", name="Rank of the latent").press("ArrowRight")
    page.wait_for_url(re.compile("rank=101"))
    _, after, _ = expected(minilm, 101)
    until(page, f"Math.abs({plot('surgery_after')}._fullData[0].z[5][0] - {float(after[1, 5, 0])}) < 2e-5")
    page.go_back()
    until(page, "location.search.includes('rank=100')")
    expect(page.get_by_text("768 → 100 numbers")).to_be_visible()


def test_a_click_on_a_bar_shows_its_head_and_one_on_a_cell_reads_it_out(open_page: Opener, minilm) -> None:
    page = open_page(rank=60, **LINK)
    until(page, f"{plot('surgery_heads_apart')}._fullData.length === 2")
    place = f"""(() => {{ const p = {plot("surgery_heads_apart")}; p.scrollIntoView({{block: 'center'}});
        const l = p._fullLayout, r = p.getBoundingClientRect();
        return [r.x + l.xaxis._offset + l.xaxis.l2p(7), r.y + l.yaxis._offset + l.yaxis._length * 0.8]; }})()"""
    page.mouse.click(*page.evaluate(place))
    until(page, f"{plot('surgery_before')}.layout.title.text === 'Before · layer 3 · head 7'")
    click_cell(page, "surgery_before", 4, 2)
    page.wait_for_url(re.compile("query=4"))
    before, after, _ = expected(minilm, 60)
    line = f"{before[7, 4, 2]:.3f} before, {after[7, 4, 2]:.3f} after."
    expect(page.get_by_text(line)).to_be_visible()


def test_the_curve_arrives_by_itself_and_is_what_the_yardstick_says(open_page: Opener) -> None:
    page = open_page(**LINK | {"model": "gqa-rope", "method": "mean", "layer": 1, "heads": 1})
    model = load_model("gqa-rope", "cpu")
    evaluation = Evaluation.of(model, held_out())
    value = evaluation.value(convert_model(model, MeanPooling(), 1))
    expect(page.get_by_text(f"perplexity {evaluation.own:.2f} → {value:.2f}")).to_be_visible()
    expect(page.get_by_text("Measuring in the background")).to_have_count(0, timeout=180_000)
    here = f"{plot('surgery_curve')}._fullData.find(each => each.name === 'on screen')"
    until(page, f"Math.abs({here}.y[0] - {value}) < 0.01")
    assert page.evaluate(f"{here}.x[0]") == 64 * 4 * 2
    points = f"{plot('surgery_curve')}._fullData.find(each => each.name === 'Latent by SVD')"
    exact = page.evaluate(f"Array.from({points}.y).at(-1)")
    assert exact == pytest.approx(evaluation.own, rel=1e-4)


QUIET = "performance.now() - window.lastSent > 5000"  # three looks' time
COUNT = """() => { const send = WebSocket.prototype.send; window.lastSent = performance.now();
    WebSocket.prototype.send = function (...data) { window.lastSent = performance.now(); return send.apply(this, data); }; }"""


def test_the_page_asks_no_more_once_all_is_measured_however_fast_the_slider_moved(open_page: Opener) -> None:
    page = open_page(**LINK | {"model": "mqa-rope", "layer": 1, "rank": 24})
    expect(page.get_by_text("Measuring in the background")).to_have_count(0, timeout=180_000)
    page.evaluate(COUNT)
    slider = page.get_by_role("slider", name="Rank of the latent")
    # One that must be measured, and at once back to one that was, before the page has looked again.
    slider.press("ArrowRight")
    expect(page.get_by_text("being measured")).to_be_visible()
    slider.press("ArrowLeft")
    page.wait_for_url(re.compile("rank=24"))
    until(page, QUIET)
    expect(page.get_by_text("being measured")).to_have_count(0)


def test_all_layers_converted_is_another_picture(open_page: Opener) -> None:
    page = open_page(rank=60, **LINK)
    alone = numbers(page, "surgery_after")
    page.locator(".st-key-surgery_whole").get_by_text("All layers").click()
    page.wait_for_url(re.compile("whole=1"))
    until(page, f"Math.abs({plot('surgery_after')}._fullData[0].z[5][0] - {alone[5, 0]}) > 1e-4")


def test_the_numbers_and_the_layer_can_be_taken_away(open_page: Opener, minilm, tmp_path) -> None:
    page = open_page(rank=60, **LINK)
    page.get_by_text("Take it away").click()
    with page.expect_download() as caught:
        page.get_by_role("button", name="The converted layer (safetensors)").click()
    path = tmp_path / "layer.safetensors"
    caught.value.save_as(path)
    held = load(path.read_bytes())
    new = JointSVD().convert(layer_of(minilm, 3), 60)
    assert set(held) == set(new.attention.shapes())
    product, mine = (
        a @ b for a, b in ((held["kv_b_proj.weight"], held["kv_a_proj.weight"]),
                           (new.params["kv_b_proj.weight"].numpy(), new.params["kv_a_proj.weight"].numpy()))
    )  # fmt: skip
    np.testing.assert_allclose(product, mine, rtol=0, atol=1e-5)
    header = path.read_bytes()
    size = int.from_bytes(header[:8], "little")
    about = json.loads(json.loads(header[8 : 8 + size])["__metadata__"]["headlight"])
    assert about["attention"] == "Latent" and about["sizes"]["kv_lora_rank"] == 60 and about["layer"] == 3
    with page.expect_download() as caught:
        page.get_by_role("button", name="Before and after (CSV)").click()
    lines = caught.value.path().read_text("utf-8").splitlines()
    assert len(lines) == 1 + len(minilm.tokens(TEXT)) ** 2
    expect(page.get_by_text("convert_model(model, JointSVD(), 60, None)")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_it_without_scrolling_sideways(open_page: Opener, dark: bool) -> None:
    page = open_page(width=390, dark=dark, **LINK | {"model": "mha-rope", "method": "decoupled", "layer": 1})
    page.wait_for_selector(".st-key-surgery_heads_apart .main-svg", state="attached")
    assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1
    assert "method" in link(page)
