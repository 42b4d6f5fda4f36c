"""Positions in a real browser: sliders move the pictures, the numbers drawn are core's, Back undoes, nothing is cut off."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from headlight import run
from headlight.core.lessons import rotation, tables
from headlight.viz.pages.positions.choices import SECTIONS
from tests.visiting import until
from tests.viz.pages.explore.test_browser import link

pytestmark = pytest.mark.browser
Opener = Callable[..., Page]
TEXT = "The old dog saw the young cat."
HEAD = {"text": TEXT, "model": "smollm2", "layer": 5, "head": 4, "query": 6, "key": 1}
# What is there when a section is painted.
FIRST = {
    "sinusoidal": "figure_table", "rope": "figure_dials", "pairs": "figure_pairings", "longer": "figure_scaled",
    "learned": "figure_learned", "alibi": "figure_bias", "mla": "figure_moved_q", "order": "positions_row_order",
}  # fmt: skip


def opened(open_page: Opener, section: str, **more: object) -> Page:
    page = open_page(path="positions", painted=False, section=section, **more)
    drawn = "" if section == "order" else " .main-svg"
    page.wait_for_selector(f".st-key-{FIRST[section]}{drawn}", state="attached")
    return page


def plot(key: str) -> str:
    return f"document.querySelector('.st-key-{key} .js-plotly-plot')"


def drawn(page: Page, key: str, trace: int, axis: str = "y") -> np.ndarray:
    until(page, f"{plot(key)}._fullData[{trace}].{axis}.length > 0")
    row = "row => row.length === undefined ? row : Array.from(row)"
    return np.array(page.evaluate(f"Array.from({plot(key)}._fullData[{trace}].{axis}, {row})"), dtype=float)


def test_a_slider_moves_the_dials_and_the_point_on_the_curve_and_back_undoes(open_page: Opener, smollm2) -> None:
    page = opened(open_page, "rope", **HEAD)
    qk = rotation.of_run(run(smollm2, TEXT), 5, 4, 6, 1)
    np.testing.assert_allclose(drawn(page, "figure_score", 0), qk.by_distance(128).sum(-1).numpy(), atol=1e-3)
    page.get_by_role("slider", name="Query at position").press("ArrowRight")
    until(page, f"{plot('figure_score')}._fullData[1].x[0] === 6")
    assert drawn(page, "figure_score", 1)[0] == pytest.approx(qk.score(7, 1), abs=1e-3)
    until(page, f"Math.abs({plot('figure_dials')}._fullData[0].z[0][0] - {float(qk.by_pair(7, 1)[0])}) < 1e-4")
    np.testing.assert_allclose(drawn(page, "figure_dials", 0, "z").ravel(), qk.by_pair(7, 1).numpy(), atol=1e-4)
    expect(page.get_by_text(f"the score is {qk.score(7, 1):.4f}"[:-2])).to_be_visible()
    page.wait_for_url(re.compile("q_at=7"))
    page.go_back()
    until(page, f"{plot('figure_score')}._fullData[1].x[0] === 5")
    assert "q_at" not in link(page)


def test_moved_together_the_point_stays(open_page: Opener) -> None:
    page = opened(open_page, "rope", **HEAD)
    before = drawn(page, "figure_score", 1)[0]
    page.get_by_text("Move together").click()
    page.wait_for_url(re.compile("together=1"))
    for _ in range(2):
        page.get_by_role("slider", name="Key at position").press("ArrowRight")
    expect(page.get_by_text("Query at 8, key at 3, distance 5")).to_be_visible()
    assert drawn(page, "figure_score", 1)[0] == pytest.approx(before, abs=1e-9)


def test_a_click_on_a_dial_draws_its_pair(open_page: Opener, smollm2) -> None:
    page = opened(open_page, "rope", **HEAD)
    page.evaluate(f"{plot('figure_dials')}.scrollIntoView({{block: 'center'}})")
    place = f"""(() => {{ const p = {plot("figure_dials")}, l = p._fullLayout, r = p.getBoundingClientRect();
        return [r.x + l.xaxis._offset + l.xaxis.l2p(2), r.y + l.yaxis._offset + l.yaxis.l2p(1)]; }})()"""
    page.mouse.click(*page.evaluate(place))
    page.wait_for_url(re.compile("pair=10"))
    until(page, f"{plot('figure_score')}._fullData[1].name === 'pair 10 alone'")
    expected = rotation.of_run(run(smollm2, TEXT), 5, 4, 6, 1).by_distance(128)[:, 10].numpy()
    np.testing.assert_allclose(drawn(page, "figure_score", 1), expected, atol=1e-4)


def test_the_sinusoidal_table_follows_its_sliders(open_page: Opener) -> None:
    page = opened(open_page, "sinusoidal", count=20)
    np.testing.assert_allclose(drawn(page, "figure_table", 0, "z"), tables.sinusoidal(20, 64).numpy(), atol=1e-6)
    page.get_by_role("slider", name="Positions").press("ArrowRight")
    until(page, f"{plot('figure_table')}._fullData[0].z.length === 21")
    until(page, f"{plot('figure_products')}._fullData[0].y.length === 21")  # drawn after the table
    products = tables.products(tables.sinusoidal(21, 64), 16).numpy()
    np.testing.assert_allclose(drawn(page, "figure_products", 0), products, atol=1e-9)


def test_learned_positions_are_minilms(open_page: Opener, minilm) -> None:
    page = opened(open_page, "learned", learned=16)
    cosines = tables.cosines(minilm.position.table[:16]).numpy()
    np.testing.assert_allclose(drawn(page, "figure_similar_learned", 0, "z"), cosines, atol=1e-6)


def test_the_sentence_and_the_head_come_along_from_explore(open_page: Opener) -> None:
    page = open_page(**HEAD)
    page.get_by_role("link", name="Positions").click()
    page.wait_for_selector(".st-key-figure_dials .main-svg", state="attached")
    page.wait_for_url("**layer=5**")
    assert {name: link(page)[name] for name in ("text", "layer", "head")} == {"text": TEXT, "layer": "5", "head": "4"}


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_every_section_without_scrolling_sideways(open_page: Opener, dark: bool) -> None:
    page = opened(open_page, "rope", width=390, dark=dark)
    for name, title in SECTIONS.items():
        page.locator(".st-key-positions_section").get_by_text(title, exact=True).click()
        page.wait_for_selector(f".st-key-section_{name}")
        page.wait_for_selector(f".st-key-{FIRST[name]}")
        assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1, name
        widest = f"Array.from(document.querySelectorAll('.st-key-section_{name} .js-plotly-plot'), p => p.offsetWidth)"
        assert max(page.evaluate(widest), default=0) <= 390, name
