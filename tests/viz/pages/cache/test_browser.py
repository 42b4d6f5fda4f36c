"""KV cache in a real browser: sliders move the pictures, the numbers drawn are core's, Back undoes, a measurement runs."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from headlight import load_model
from headlight.core.measured.held import held
from headlight.core.memory.claim import steps
from headlight.core.memory.decode_cost import ways
from headlight.core.memory.hardware import card
from headlight.core.memory.published import published
from headlight.core.registry import SIBLINGS
from tests.visiting import until
from tests.viz.pages.explore.test_browser import link
from tests.viz.pages.positions.test_browser import drawn, plot

pytestmark = pytest.mark.browser
Opener = Callable[..., Page]
TEXT = "The old dog saw the young cat."
V3 = published()["deepseek-v3-671b"].shape
# What is there when a section is painted.
FIRST = {"measured": "figure_held", "claim": "figure_claim", "decode": "figure_cost_bars"}


def opened(open_page: Opener, section: str, **more: object) -> Page:
    page = open_page(path="cache", painted=False, section=section, **more)
    page.wait_for_selector(f".st-key-{FIRST[section]} .main-svg", state="attached")
    return page


def traffic(context: int, batch: int = 1) -> list[float]:
    return [way.cost(context, batch).traffic() * 61 / batch for way in ways(V3, 8).values()]


def test_the_context_slider_moves_the_bars_and_back_undoes(open_page: Opener) -> None:
    page = opened(open_page, "decode")
    np.testing.assert_allclose(drawn(page, "figure_cost_bars", 0, "x"), traffic(131_072))
    page.get_by_role("slider", name="Context (tokens)").press("ArrowLeft")
    until(page, f"{plot('figure_cost_bars')}._fullData[0].x[0] === {traffic(65_536)[0]}")
    np.testing.assert_allclose(drawn(page, "figure_cost_bars", 0, "x"), traffic(65_536))
    operations = [way.cost(65_536).flops * 61 for way in ways(V3, 8).values()]
    np.testing.assert_allclose(drawn(page, "figure_cost_bars", 1, "x"), operations)
    page.wait_for_url(re.compile("decode_context=65536"))
    page.go_back()
    until(page, f"{plot('figure_cost_bars')}._fullData[0].x[0] === {traffic(131_072)[0]}")
    assert "decode_context" not in link(page)


def test_another_batch_moves_the_points_on_the_roof_when_projections_count(open_page: Opener) -> None:
    page = opened(open_page, "decode", decode_weights=1, decode_card="a100")
    page.get_by_role("slider", name="Sequences at once").press("ArrowRight")
    page.wait_for_url(re.compile("decode_batch=2"))
    way = ways(V3, 8)["absorbed"]
    intensity = way.cost(131_072, 2).intensity(weights=True)
    last = f"{plot('figure_roofline')}._fullData.at(-1)"
    until(page, f"Math.abs({last}.x[0] - {intensity}) < 1e-6")
    assert page.evaluate(f"{last}.y[0]") == pytest.approx(card("a100").roof(intensity))
    assert page.evaluate(f"{last}.name") == way.title


def test_the_bits_slider_moves_the_claim(open_page: Opener) -> None:
    page = opened(open_page, "claim")
    np.testing.assert_allclose(drawn(page, "figure_claim", 0, "x"), [step.bytes for step in steps()])
    page.get_by_role("slider", name="Bits per value, DeepSeek-V2").press("ArrowRight")
    until(page, f"{plot('figure_claim')}._fullData[0].x[3] === {steps(16, 8)[3].bytes}")
    expect(page.get_by_text("91.1% less")).to_be_visible()


@pytest.mark.skipif(not SIBLINGS["mha-rope"].installed, reason="no sibling is trained here")
def test_points_are_the_bytes_that_tensors_hold(open_page: Opener, smollm2) -> None:
    page = opened(open_page, "measured", text=TEXT)
    sibling = load_model("mha-rope", "cpu")
    found = held(sibling, sibling.tokens(TEXT).ids)
    points = drawn(page, "figure_held", 4)
    assert points[: len(found.held)].tolist() == list(found.held)
    own = held(smollm2, smollm2.tokens(TEXT).ids)
    assert drawn(page, "figure_reserved", 2).tolist() == list(own.held)
    assert drawn(page, "figure_reserved", 0).tolist() == list(own.reserved)
    page.get_by_role("slider", name="After token").press("ArrowLeft")
    until(page, f"{plot('figure_held')}._fullLayout.shapes[0].x0 === {len(found.held) - 1}")


def test_pictures_stay_the_same_ones_from_the_first_move_on(open_page: Opener) -> None:
    # Nobody has read this sentence before: bars were there while it was read, and are not the next time.
    page = opened(open_page, "measured", text="A sentence for one test alone.")
    page.evaluate(f"window.first = {plot('figure_held')}")
    page.get_by_role("slider", name="After token").press("ArrowLeft")
    page.wait_for_url(re.compile("measured_token="))
    until(page, f"{plot('figure_held')}._fullLayout.shapes[0].x0 > 0")
    assert page.evaluate(f"window.first === {plot('figure_held')} && window.first.isConnected")


def test_a_measurement_runs_and_is_drawn_with_its_spread(open_page: Opener) -> None:
    page = opened(open_page, "measured", text=TEXT, measured_most=1024, measured_repeats=5)
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector(".st-key-figure_steps .main-svg", state="attached")
    expect(page.get_by_text("medians of 5 steps each")).to_be_visible()
    until(page, f"{plot('figure_steps')}._fullData.length === 5")
    assert drawn(page, "figure_steps", 0, "x").tolist() == [128, 256, 512, 1024]
    assert min(drawn(page, "figure_steps", 3)) > 0
    assert page.evaluate(f"{plot('figure_steps')}._fullData[3].error_y.array.length") == 4


def test_a_measurement_can_be_cancelled(open_page: Opener) -> None:
    page = opened(open_page, "measured", text=TEXT, measured_sizes="v2-lite", measured_most=8192, measured_repeats=20)
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Measuring…")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Run")).to_be_visible()
    expect(page.get_by_text("Measuring…")).to_have_count(0)


def test_the_numbers_can_be_taken_away(open_page: Opener) -> None:
    page = opened(open_page, "decode", decode_context=4096)
    page.get_by_text("Take it away").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Decode cost (CSV)").click()
    table = list(csv.DictReader(download.value.path().read_text("utf-8").splitlines()))
    found = [way.cost(4096) for way in ways(V3, 8).values()]
    assert [float(row["cache bytes per layer"]) for row in table] == [cost.cache_bytes for cost in found]
    assert [int(row["operations per layer"]) for row in table] == [cost.flops for cost in found]


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_every_section_without_scrolling_sideways(open_page: Opener, dark: bool) -> None:
    for name, first in FIRST.items():
        page = opened(open_page, name, width=390, dark=dark)
        assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1, name
        widest = f"Array.from(document.querySelectorAll('.st-key-section_{name} .js-plotly-plot'), p => p.offsetWidth)"
        assert 0 < max(page.evaluate(widest)) <= 390, (name, first)
