"""Compare in a real browser: it paints core's numbers, heads are picked by clicking, Back undoes, nothing is cut off."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from headlight import run
from headlight.core.analysis.compare import best_match, read_alike
from tests.visiting import until
from tests.viz.pages.explore.test_browser import HOSTILE, link

pytestmark = pytest.mark.browser
Opener = Callable[..., Page]
LINE = "Tom saw the old dog, and the old dog saw Tom."
LINK = {"path": "compare", "first": "compare_map_0", "text": LINE, "model": "minilm", "model2": "smollm2"}


def plot(key: str) -> str:
    return f"document.querySelector('.st-key-{key} .js-plotly-plot')"


def numbers(page: Page, key: str) -> np.ndarray:
    until(page, f"{plot(key)}._fullData[0].z.length > 0")
    cells = f"Array.from({plot(key)}._fullData[0].z, row => Array.from(row, v => Number.isNaN(v) ? null : v))"
    return np.array(page.evaluate(cells), dtype=float)


def click_cell(page: Page, key: str, row: int, column: int) -> None:
    place = f"""(() => {{ const p = {plot(key)}; p.scrollIntoView({{block: 'center'}});
        const l = p._fullLayout, r = p.getBoundingClientRect();
        return [r.x + l.xaxis._offset + l.xaxis.l2p({column}), r.y + l.yaxis._offset + l.yaxis.l2p({row})]; }})()"""
    page.mouse.click(*page.evaluate(place))


def test_the_pictures_are_cores_numbers_and_a_click_on_a_head_goes_there_and_back(open_page, minilm, smollm2) -> None:
    page = open_page(layer=3, head=1, **LINK)
    _, (first, other) = read_alike([run(minilm, LINE), run(smollm2, LINE)])
    match = best_match(first, (3, 1), other)
    a, b = (
        np.where(r.mask(i), r.weights(i)[j], np.nan) for r, i, j in ((first, 3, 1), (other, match.layer, match.head))
    )
    for key, expected in (("compare_map_0", a), ("compare_map_1", b), ("compare_difference_1", np.nan_to_num(b) - a)):
        np.testing.assert_allclose(numbers(page, key), expected, rtol=0, atol=1e-5)
    expect(page.get_by_text(f"layer {match.layer} head {match.head}, {match.distance:.3f}")).to_be_visible()
    numbers(page, "compare_distances_1")
    click_cell(page, "compare_distances_1", 5, 7)
    until(page, f"{plot('compare_map_0')}.layout.title.text === 'MiniLM · layer 5 · head 7'")
    page.wait_for_url(re.compile("layer=5&head=7"))
    page.go_back()
    until(page, f"{plot('compare_map_0')}.layout.title.text === 'MiniLM · layer 3 · head 1'")
    assert link(page)["layer"] == "3"


def test_hovering_one_map_shows_the_same_cell_in_all_and_a_click_reads_it_out(open_page: Opener) -> None:
    page = open_page(layer=3, head=1, **LINK)
    numbers(page, "compare_difference_1")
    click_cell(page, "compare_map_0", 4, 1)
    page.wait_for_url(re.compile("query=4&key=1"))
    expect(page.get_by_text(re.compile(r"“dog” looks at “saw”: MiniLM 0\.\d{3}, SmolLM2 0\.\d{3}"))).to_be_visible()
    for key in ("compare_map_1", "compare_difference_1"):
        expect(page.locator(f".st-key-{key}").get_by_test_id("chart-picked")).to_be_visible()
        expect(page.locator(f".st-key-{key}").get_by_test_id("chart-row")).to_be_visible()


def test_the_words_change_places_and_the_link_says_so(open_page: Opener) -> None:
    page = open_page(**LINK)
    page.locator(".st-key-compare_words").get_by_text("Reversed", exact=True).click()
    until(page, f"{plot('compare_back')}._fullData[0].z.length > 0")
    page.wait_for_url(re.compile("order=reversed"))
    expect(page.get_by_text("Read as: Tom. saw dog old the and dog, old the saw Tom")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_it_without_scrolling_sideways(open_page: Opener, dark: bool) -> None:
    page = open_page(width=390, dark=dark, order="shuffled", **LINK)
    numbers(page, "compare_back")
    assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1
    for key in ("compare_map_1", "compare_difference_1", "compare_distances_1", "compare_back"):
        assert page.evaluate(f"{plot(key)}.getBoundingClientRect().width") <= 390


def test_the_sentence_comes_along_from_explore(open_page: Opener) -> None:
    page = open_page(text=LINE)
    page.get_by_role("link", name="Compare").click()
    page.wait_for_selector(".st-key-compare_map_0 .heatmaplayer image")
    assert page.locator(".st-key-compare_text input").input_value() == LINE
    assert link(page)["text"] == LINE


def test_markup_stays_text(open_page: Opener) -> None:
    page = open_page(**LINK | {"text": HOSTILE, "order": "reversed", "query": 2, "key": 1})
    numbers(page, "compare_back")
    main = page.get_by_test_id("stMain")
    assert main.locator("svg a, img[src='x'], a[href*='e.org'], a[href*='example']").count() == 0
    assert main.locator("b, strong", has_text="bold").count() == 0
