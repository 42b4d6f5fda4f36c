"""Models and Your model in a real browser: sliders move bars and lines, the numbers drawn are core's, a file is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from headlight.core.memory.deployment import CONTEXTS, Deployment
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.published import published
from headlight.core.memory.sizes import bytes_at, parts_at
from headlight.core.memory.variants import as_mha, as_mla, with_kv_heads
from headlight.viz.pages.cache.choices import MODELS, WAYS
from tests.core.memory.test_memory_config import LLAMA, MLA
from tests.visiting import until
from tests.viz.pages.explore.test_browser import link
from tests.viz.pages.positions.test_browser import drawn, plot

pytestmark = pytest.mark.browser
Opener = Callable[..., Page]
SHAPES = [published()[slug].shape for slug in MODELS]
BF16 = PRECISIONS["bf16"]
FIRST = {"models": "figure_models_bars", "own": "figure_otherwise"}


def opened(open_page: Opener, section: str, **more: object) -> Page:
    page = open_page(path="cache", painted=False, section=section, **more)
    page.wait_for_selector(f".st-key-{FIRST[section]} .main-svg", state="attached")
    return page


def bars(page: Page, key: str) -> list[float]:
    """The whole length of each bar: its parts together."""
    count = page.evaluate(f"{plot(key)}._fullData.length")
    return np.sum([drawn(page, key, i, "x") for i in range(count)], axis=0).tolist()


def keys_at(context: int, batch: int = 1) -> int:
    return parts_at(SHAPES[0], context, BF16, batch)["keys"]


def test_the_context_slider_moves_bars_and_points_and_back_undoes(open_page: Opener) -> None:
    page = opened(open_page, "models")
    assert bars(page, "figure_models_bars") == [bytes_at(shape, 32_768, BF16) for shape in SHAPES]
    page.get_by_role("slider", name="Context (tokens)").press("ArrowRight")
    until(page, f"{plot('figure_models_bars')}._fullData[0].x[0] === {keys_at(65_536)}")
    assert bars(page, "figure_models_bars") == [bytes_at(shape, 65_536, BF16) for shape in SHAPES]
    until(page, f"{plot('figure_models_curves')}._fullData.at(-1).x[0] === 65536")
    points = page.evaluate(f"Array.from({plot('figure_models_curves')}._fullData.at(-1).y)")
    assert points == [shape.parameters + bytes_at(shape, 65_536, BF16) for shape in SHAPES]
    page.wait_for_url(re.compile("models_context=65536"))
    page.go_back()
    until(page, f"{plot('figure_models_bars')}._fullData[0].x[0] === {keys_at(32_768)}")
    assert "models_context" not in link(page)


def test_more_sequences_and_another_precision_are_counted(open_page: Opener) -> None:
    page = opened(open_page, "models", models_precision="q8_0", models_weights="none")
    q8_0 = PRECISIONS["q8_0"]
    page.get_by_role("slider", name="Sequences at once").press("ArrowRight")
    until(
        page,
        f"Math.abs({plot('figure_models_bars')}._fullData[0].x[0] - {parts_at(SHAPES[0], 32_768, q8_0, 2)['keys']}) < 2",
    )
    assert bars(page, "figure_models_bars") == [bytes_at(shape, 32_768, q8_0, 2) for shape in SHAPES]
    whole = drawn(page, "figure_models_curves", 0)
    expected = np.array(Deployment(SHAPES[0], q8_0, 1, 2).total(CONTEXTS), dtype=float)
    within = np.array(CONTEXTS) <= SHAPES[0].max_context
    np.testing.assert_allclose(whole[within], expected[within])


def test_the_formula_stands_below_its_bar(open_page: Opener) -> None:
    page = opened(open_page, "models", models_names="deepseek-v3-671b", models_precision="q8_0")
    expect(page.get_by_text("61 × (512 + 64) × 32,768 × 1.0625 B = 1,223,294,976 B").first).to_be_visible()


def test_what_if_follows_its_sliders(open_page: Opener) -> None:
    page = opened(open_page, "models", models_names="llama-3-1-405b")
    shape = SHAPES[0]
    others = [as_mha(shape), with_kv_heads(shape, 1), as_mla(shape, 512)]
    page.wait_for_selector(".st-key-figure_otherwise .main-svg", state="attached")
    assert bars(page, "figure_otherwise") == [bytes_at(each, 32_768, BF16) for each in (shape, *others)]
    page.get_by_role("slider", name="GQA with KV heads").press("ArrowRight")
    page.wait_for_url(re.compile("models_kv_heads=16"))
    until(page, f"{plot('figure_otherwise')}._fullData[0].x.length === 5")
    page.get_by_role("slider", name="MLA with rank").press("ArrowLeft")
    page.wait_for_url(re.compile("models_rank=256"))
    expected = [shape, as_mha(shape), with_kv_heads(shape, 16), with_kv_heads(shape, 1), as_mla(shape, 256)]
    until(page, f"{plot('figure_otherwise')}._fullData[2].x[4] === {126 * 256 * 32_768 * 2}")
    assert bars(page, "figure_otherwise") == [bytes_at(each, 32_768, BF16) for each in expected]


def test_a_config_is_pasted_and_another_one_chosen_as_a_file(open_page: Opener) -> None:
    page = open_page(path="cache", painted=False, section="own", own_way="config")
    box = page.get_by_label("Paste a config.json")
    box.fill(json.dumps(LLAMA))
    box.press("Control+Enter")
    page.wait_for_selector(".st-key-figure_otherwise .main-svg", state="attached")
    assert bars(page, "figure_otherwise")[0] == 32_768 * 131_072
    file = {"name": "config.json", "mimeType": "application/json", "buffer": json.dumps(MLA).encode()}
    page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    until(page, f"{plot('figure_otherwise')}._fullData[0].x[0] !== {32_768 * 131_072 // 2}")
    expect(page.get_by_text("(512 + 64) = 576 numbers in 61 layers")).to_be_visible()
    assert bars(page, "figure_otherwise")[0] == 32_768 * 70_272
    expect(page.get_by_text("num_nextn_predict_layers")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("2,048 numbers in 32 layers")).to_be_visible()


def test_a_config_of_50_mb_is_one_sentence_and_the_page_stays(open_page: Opener, tmp_path) -> None:
    page = open_page(path="cache", painted=False, section="own", own_way="config")
    big = tmp_path / "config.json"
    big.write_bytes(b" " * 50_000_000)
    page.locator("input[type=file]").set_input_files(big)
    expect(page.get_by_text(re.compile(r"4(\.0)? ?MB or smaller|50,000,000 bytes")).first).to_be_visible()
    page.locator(".st-key-cache_own_way").get_by_text("Heads", exact=True).click()
    page.wait_for_selector(".st-key-figure_otherwise .main-svg", state="attached")


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_models_without_scrolling_sideways(open_page: Opener, dark: bool) -> None:
    many = "gemma-3-27b.deepseek-v4-flash-284b.gemma-4-26b-a4b.deepseek-v3-2-671b.qwen3-next-80b-a3b.mixtral-8x7b"
    page = opened(open_page, "models", width=390, dark=dark, models_names=many, models_reserved=1)
    assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1
    page.locator(".st-key-cache_section").get_by_text("Your model", exact=True).click()
    for way, title in WAYS.items():
        page.locator(".st-key-cache_own_way").get_by_text(title, exact=True).click()
        page.wait_for_url(re.compile(f"own_way={way}") if way != "heads" else re.compile("section=own"))
        assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1, way
