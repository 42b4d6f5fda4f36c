"""The two switches in a real browser: what is drawn after each press is that sibling's own attention."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from headlight import load_model, run
from tests.visiting import until
from tests.viz.pages.explore.test_browser import LABELS, NUMBERS, Opener, link

pytestmark = pytest.mark.browser
TEXT = "Tom saw the old dog, and the old dog saw Tom."
# Attention, position -> what stands over the small maps.
SHARING = {
    "MQA": ["KV head 0"],
    "GQA": ["KV head 0", "KV head 1"],
    "MHA": [],
    "MLA": ["one latent of 128 numbers + one key of 16"],
}


def press(page: Page, switch: str, option: str) -> None:
    page.locator(f".st-key-{switch}").get_by_text(option, exact=True).click()


def drawn(page: Page) -> np.ndarray:
    return np.nan_to_num(np.array(page.evaluate(NUMBERS), dtype=float))


def test_each_press_of_attention_draws_that_siblings_own_numbers(open_page: Opener) -> None:
    page = open_page(model="mha-rope", text=TEXT, layer=2, head=4, query=7, key=3)
    for title, shared in SHARING.items():
        name = f"{title.lower()}-rope"
        press(page, "attention", title)
        expect(page.get_by_text(f"{title} · RoPE keeps")).to_be_visible()
        expected = run(load_model(name, "cpu"), TEXT, layers=[2]).layers[2].weights[4].numpy()
        until(page, f"Math.abs(({NUMBERS})[7][3] - {float(expected[7, 3])}) < 1e-5")
        assert np.abs(drawn(page) - expected).max() < 1e-5
        assert link(page) | {"model": name, "layer": "2", "head": "4", "query": "7", "key": "3"} == link(page)
        assert page.locator(".st-key-grid .bracket").all_inner_texts() == shared


def test_positions_switch_and_back_undoes(open_page: Opener) -> None:
    page = open_page(model="mha-rope", text=TEXT, layer=1, head=0, query=5, key=2)
    rope = drawn(page)
    press(page, "position", "Sinusoidal")
    until(page, f"Math.abs(({NUMBERS})[5][2] - {rope[5, 2]}) > 1e-4")
    assert link(page)["model"] == "mha-sinusoidal"
    page.go_back()
    until(page, f"Math.abs(({NUMBERS})[5][2] - {rope[5, 2]}) < 1e-6")
    assert link(page)["model"] == "mha-rope"
    assert page.evaluate(LABELS)[0].startswith("&lt;|endoftext")
