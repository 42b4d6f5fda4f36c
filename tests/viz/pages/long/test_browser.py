"""Long texts in a real browser: the numbers on screen are core's; zoom, click, Back; files of every kind; Cancel."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from headlight import run
from headlight.core.long.document import long_texts
from headlight.core.long.pooling import Region, pool
from headlight.core.model import Model
from tests.visiting import until
from tests.viz.pages.explore.test_browser import link

pytestmark = pytest.mark.browser
Opener = Callable[..., Page]
PASSAGE = next(each.text for each in long_texts() if each.name == "giant")[:1480]
LEFT = 86  # of the map inside its stage, as in deep_map.js
SHARP = '[data-testid=deep-stage][data-sharp="1"]'
SECTION = {"This head": "head", "All heads": "heads", "Beyond the trained length": "beyond"}
HEAD = {"model": "smollm2", "layer": 18, "head": 6, "pasted": PASSAGE}


def opened(open_page: Opener, **more: object) -> Page:
    page = open_page(path="long", painted=False, **(HEAD | more))
    page.wait_for_selector(SHARP, timeout=120_000)
    return page


def side(page: Page) -> float:
    return float(
        page.get_by_test_id("deep-stage").evaluate(f"e => Math.max(120, Math.min(640, e.clientWidth - {LEFT} - 6))")
    )


def shown(page: Page) -> tuple[int, ...]:
    return tuple(map(int, page.get_by_test_id("deep-stage").get_attribute("data-view").split(".")))


def at(page: Page, query: float, key: float) -> tuple[float, float]:
    """Where a pair of tokens is on the screen."""
    box, (q0, q1, k0, k1) = page.get_by_test_id("deep-stage").bounding_box(), shown(page)
    scale = side(page)
    return box["x"] + LEFT + (key + 0.5 - k0) / (k1 - k0) * scale, box["y"] + (query + 0.5 - q0) / (q1 - q0) * scale


def hovered(page: Page, query: float, key: float) -> str:
    page.mouse.move(*at(page, query, key))
    caption = page.get_by_test_id("deep-caption")
    expect(caption).to_contain_text("#")
    return str(caption.inner_text())


def weights_of(model: Model) -> np.ndarray:
    return run(model, model.tokens(PASSAGE), layers=[18]).layers[18].weights[6].numpy()


def test_the_number_under_the_pointer_is_the_models(open_page: Opener, smollm2: Model) -> None:
    page = opened(open_page)
    weights = weights_of(smollm2)
    n = len(weights)
    assert shown(page) == (0, n, 0, n) and page.get_by_test_id("deep-stage").get_attribute("data-cell") == "1"
    for query, key in ((200, 0), (250, 40), (n - 1, n - 1)):
        told = hovered(page, query, key)
        assert f"#{query}" in told and f"#{key}" in told
        number = re.search(r": (below 0\.0001|[\d.]+)$", told)[1]
        value = 0.0 if number.startswith("below") else float(number)
        assert value == pytest.approx(float(weights[query, key]), abs=1.01e-4)


def test_a_cell_of_many_tokens_names_its_strongest_pair_and_a_click_goes_there(
    open_page: Opener, smollm2: Model
) -> None:
    page = open_page(path="long", painted=False, model="smollm2", layer=18, head=6, example="again")
    page.wait_for_selector(SHARP, timeout=150_000)
    tokens = smollm2.tokens(next(each.text for each in long_texts() if each.name == "again"))
    p = run(smollm2, tokens, layers=[18]).layers.projections(18)
    cells = pool(smollm2.attention, p, Region((0, len(tokens)), (0, len(tokens)), 4), [6], strongest=True)
    largest, strongest = cells.largest[0], cells.strongest[0]
    row, col = divmod(int(largest[200:].argmax()), largest.shape[1])
    query, key = strongest[200 + row, col].tolist()
    told = hovered(page, 4 * (200 + row) + 1.5, 4 * col + 1.5)
    assert f"#{query} looks at" in told and f"#{key}: {float(largest[200 + row, col]):.4f}" in told
    expect(page.get_by_test_id("deep-says")).to_contain_text("4 × 4 tokens")
    page.mouse.click(*at(page, 4 * (200 + row) + 1.5, 4 * col + 1.5))
    page.wait_for_selector('[data-testid=deep-stage][data-cell="1"][data-sharp="1"]')
    assert (link(page)["query"], link(page)["key"]) == (str(query), str(key))
    q0, q1, k0, k1 = shown(page)
    assert q0 <= query < q1 and k0 <= key < k1 and q1 - q0 == 48
    told = page.get_by_test_id("document-caption").inner_text()
    assert f"#{query}" in told
    page.go_back()
    page.wait_for_selector(f'[data-testid=deep-stage][data-view="0.{len(tokens)}.0.{len(tokens)}"]')


def test_wheel_drag_and_keys_move_the_part_on_screen(open_page: Opener) -> None:
    page = opened(open_page)
    n = shown(page)[1]
    page.mouse.move(*at(page, n / 2, n / 4))
    page.mouse.wheel(0, -240)
    page.wait_for_url(re.compile("view="))
    size = shown(page)[1] - shown(page)[0]
    assert size < n
    page.wait_for_selector(SHARP)
    before = shown(page)
    page.mouse.move(*at(page, before[0] + 5, before[2] + 5))
    page.mouse.down()
    page.mouse.move(*at(page, before[0] + 15, before[2] + 5), steps=4)
    page.mouse.up()
    until(page, "!location.search.includes('" + ".".join(map(str, before)) + "')")
    assert shown(page)[0] < before[0] or before[0] == 0
    page.get_by_test_id("deep-stage").focus()
    page.keyboard.press("0")
    page.wait_for_url(lambda url: "view=" not in url)
    assert shown(page) == (0, n, 0, n)
    page.get_by_test_id("zoom-in").click()
    page.wait_for_url(re.compile("view="))
    assert shown(page)[1] - shown(page)[0] == pytest.approx(n / 2, abs=1)


def test_a_click_on_a_word_shows_where_that_head_looks(open_page: Opener, smollm2: Model) -> None:
    page = opened(open_page)
    weights = weights_of(smollm2)
    words = page.get_by_test_id("document-text").locator(".token")
    index = int(words.nth(60).get_attribute("data-index"))
    words.nth(60).click()
    page.mouse.move(0, 0)
    expect(page.get_by_test_id("document-caption")).to_contain_text(f"#{index} looks mostly at")
    until(page, f"new URL(location).searchParams.get('query') == '{index}'")
    expect(page.get_by_test_id("document-caption")).to_contain_text(f"({weights[index].max():.4f})")
    page.get_by_text("Where it is seen from").click()
    column = weights[:, index]
    expect(page.get_by_test_id("document-caption")).to_contain_text(f"({column.max():.4f})")


def test_only_the_lines_in_sight_are_in_the_page_and_scrolling_brings_others(open_page: Opener) -> None:
    page = open_page(path="long", painted=False, model="smollm2", example="giant")
    page.wait_for_selector(SHARP, timeout=150_000)
    text = page.get_by_test_id("document-text")
    lines = int(text.get_attribute("data-lines"))
    assert lines > 120 and text.locator(".line").count() < 60
    text.evaluate("e => { e.scrollTop = 0; }")
    expect(text.get_by_test_id("word-0")).to_be_visible()
    expect(text.get_by_test_id("word-2039")).to_have_count(0)
    minimap = page.get_by_test_id("document-minimap")
    minimap.click(position={"x": 20, "y": minimap.bounding_box()["height"] - 3})
    expect(text.get_by_test_id("word-2039")).to_be_visible()


def test_a_file_is_read_and_what_is_no_text_is_one_sentence(open_page: Opener, tmp_path: Path) -> None:
    page = opened(open_page, model="gqa-rope", layer=1, head=0)
    page.get_by_role("button", name="Open a file").click()
    chooser = page.locator(".st-key-long_file input[type=file]")
    refusals = {
        "empty.txt": (b"", "empty"), "picture.txt": (b"\x89PNG\r\n\x1a\n" + bytes(500), "a picture"),
        "binary.md": (bytes(range(256)) * 40, "control characters"),
    }  # fmt: skip
    for name, (raw, says) in refusals.items():
        path = tmp_path / name
        path.write_bytes(raw)
        chooser.set_input_files(path)
        expect(page.get_by_text(re.compile(f"“{name}” .*{says}")).first).to_be_visible()
    path = tmp_path / "old.txt"
    path.write_bytes("Der König und die schöne Müllerin. ".encode("cp1252") * 9)
    chooser.set_input_files(path)
    expect(page.get_by_text("read as Windows-1252")).to_be_visible()
    expect(page.get_by_test_id("document-text")).to_contain_text(
        "schö", timeout=60_000
    )  # a sign of two tokens is shown as ö[1/2]
    assert link(page)["example"] == "own"


def test_a_file_of_a_hundred_megabytes_is_refused_and_the_page_goes_on(open_page: Opener, tmp_path: Path) -> None:
    page = opened(open_page, model="gqa-rope", layer=1, head=0)
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    page.get_by_role("button", name="Open a file").click()
    page.locator(".st-key-long_file input[type=file]").set_input_files(path)
    expect(page.get_by_text(re.compile("5MB|5 MB|5.0MB", re.I)).last).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_test_id("zoom-in").click()
    page.wait_for_url(re.compile("view="))


def test_cancel_stops_and_read_it_goes_on_while_another_visitor_looks(open_page: Opener) -> None:
    page = open_page(path="long", painted=False, model="smollm2", example="carol")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Reading was stopped")).to_be_visible()
    page.get_by_role("button", name="Read it").last.click()
    expect(page.get_by_text(re.compile(r"Reading 8,190 tokens: \d+%"))).to_be_visible()
    other = open_page()  # Explore, painted while the long text is read
    expect(other.get_by_test_id("strip-caption")).to_contain_text("looks mostly at")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Reading was stopped")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_it_all_without_scrolling_sideways(open_page: Opener, dark: bool) -> None:
    page = opened(open_page, width=390, dark=dark, model="gqa-rope", layer=1, head=0)
    for title in ("All heads", "Beyond the trained length", "This head"):
        page.locator(".st-key-long_section").get_by_text(title, exact=True).click()
        page.wait_for_selector(f".st-key-long_section_{SECTION[title]}")
        assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1, title
    assert page.get_by_test_id("deep-stage").bounding_box()["width"] <= 390
