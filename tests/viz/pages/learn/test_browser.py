"""Learn in a real browser: pages turn, figures follow, links open the full page in that state, a phone cuts nothing off."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from headlight import run
from headlight.viz.pages.learn.choices import SENTENCE, STEPS
from tests.visiting import until
from tests.viz.pages.explore.test_browser import Opener, link
from tests.viz.pages.positions.test_browser import drawn, plot

pytestmark = pytest.mark.browser
ROW = ".st-key-figure_learn_row .main-svg"


def test_the_row_of_it_follows_the_word_and_opens_on_explore(open_page: Opener, minilm) -> None:
    page = open_page(path="learn", painted=False)
    page.wait_for_selector(ROW, state="attached")
    for word in ("tired", "wide"):
        page.locator(".st-key-learn_word").get_by_text(word, exact=True).click()
        result = run(minilm, SENTENCE.format(word), layers=[3])
        expected = result.layers[3].weights[1, result.tokens.pieces.index("it")].tolist()
        until(page, f"Math.abs({plot('figure_learn_row')}._fullData[1].y[2] - {expected[2]}) < 1e-5")
        assert drawn(page, "figure_learn_row", 1).tolist() == pytest.approx(expected, abs=1e-5)
    page.get_by_text("Try it: your own sentence").click()
    page.wait_for_selector(".st-key-head_map .heatmaplayer image")
    assert {"text": SENTENCE.format("wide"), "layer": "3", "head": "1"}.items() <= link(page).items()
    page.go_back()
    page.wait_for_selector(ROW, state="attached")
    assert link(page)["word"] == "wide"


def test_next_turns_to_the_top_of_every_step(open_page: Opener) -> None:
    page = open_page(path="learn", painted=False, width=390)
    for number, step in enumerate(STEPS, 1):
        expect(page.get_by_role("heading", name=f"{number} · ")).to_be_in_viewport(timeout=60_000)
        until(page, f"document.querySelector('.st-key-section_{step}')")
        assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1, step
        if number < len(STEPS):
            page.get_by_role("button", name="Next: ").click()
    page.wait_for_url("**section=gains**")
    page.go_back()
    expect(page.get_by_role("heading", name=f"{len(STEPS) - 1} · ")).to_be_visible(timeout=60_000)
