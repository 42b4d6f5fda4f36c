"""One click on Attention in a real browser: the same cell of a pretrained model in another attention, drawn in place."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from headlight import load_model, run
from headlight.core.analysis.variant_quality import is_shipped
from headlight.core.attention.variants import VARIANTS
from headlight.core.registry import MODELS, base_of
from tests.viz.pages.explore.test_browser import NUMBERS, Opener, link
from tests.viz.pages.explore.test_siblings_browser import drawn, press

pytestmark = pytest.mark.browser
TEXT = "Tom saw the old dog, and the old dog saw Tom."
SHIPPED = [name for name in MODELS if is_shipped(name)]


@pytest.mark.parametrize("name", dict.fromkeys(SHIPPED[:1] + SHIPPED[-1:]))
def test_one_click_draws_the_variants_own_numbers(name: str, open_page: Opener) -> None:
    page = open_page(model=base_of(name), text=TEXT, layer=3, head=1, query=7, key=3)
    before = drawn(page)
    page.evaluate("document.querySelector('.st-key-head_map .js-plotly-plot').dataset.mark = 'the same'")
    press(page, "attention", VARIANTS[str(MODELS[name].attention)].title)
    expect(page.get_by_text(f"{MODELS[name].title} keeps")).to_be_visible()
    expected = run(load_model(name, "cpu"), TEXT, layers=[3]).layers[3].weights[1].numpy()
    page.wait_for_function(f"value => Math.abs(({NUMBERS})[7][3] - value) < 1e-5", arg=float(expected[7, 3]))
    assert np.abs(drawn(page) - expected).max() < 1e-5 and np.abs(before - expected).max() > 1e-3
    assert link(page) | {"model": name, "layer": "3", "head": "1", "query": "7", "key": "3"} == link(page)
    # The old picture stood until the new one was there: it is the same element.
    assert page.evaluate("document.querySelector('.st-key-head_map .js-plotly-plot').dataset.mark") == "the same"
