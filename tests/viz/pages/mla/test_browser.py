"""Inside MLA in a real browser: a box is clicked and its heatmap is the tensor, keys reach the boxes, Back undoes."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load

from headlight import load_model, run
from headlight.core.lessons import absorbing, latent
from headlight.viz.pages.mla.choices import SECTIONS
from tests.visiting import until
from tests.viz.pages.explore.test_browser import link

pytestmark = pytest.mark.browser
Opener = Callable[..., Page]
TEXT = "The old dog saw the young cat."
FIRST = {"way": "figure_flow_latent", "absorbed": "figure_flow_absorbed", "latent": "figure_shares"}


def opened(open_page: Opener, section: str = "way", **more: object) -> Page:
    page = open_page(path="mla", painted=False, section=section, **({"text": TEXT} | more))
    page.wait_for_selector(f".st-key-{FIRST[section]} .main-svg", state="attached")
    if section != "latent":
        page.wait_for_selector(f".st-key-{FIRST[section]} [data-testid=chart-area]")
    return page


def plot(key: str) -> str:
    return f"document.querySelector('.st-key-{key} .js-plotly-plot')"


def drawn(page: Page, key: str, axis: str = "z") -> np.ndarray:
    until(page, f"{plot(key)}._fullData[0].{axis}.length > 0")
    row = "row => row.length === undefined ? row : Array.from(row)"
    return np.array(page.evaluate(f"Array.from({plot(key)}._fullData[0].{axis}, {row})"), dtype=float)


def area(page: Page, figure: str, words: str):  # type: ignore[no-untyped-def]
    return page.locator(f".st-key-{figure}").get_by_role("button", name=re.compile(f"^{words}, "))


def click(page: Page, figure: str, words: str, across: float) -> None:
    """A click by mouse at a place of a box, 0 left to 1 right."""
    box = area(page, figure, words)
    box.scroll_into_view_if_needed()
    size = box.bounding_box()
    page.mouse.click(size["x"] + across * size["width"], size["y"] + size["height"] / 2)


def shows(page: Page, expected: np.ndarray, key: str = "figure_tensor") -> None:
    """To float32 as another process computes it: the server's threads are more, so its sums are made in another order."""
    shape = f"{plot(key)}._fullData[0].z.length === {len(expected)} && {plot(key)}._fullData[0].z[0].length"
    value = float(np.nan_to_num(expected[-1, 0]))
    near = f"Math.abs({plot(key)}._fullData[0].z[{len(expected) - 1}][0] - {value}) < {1e-5 * (1 + abs(value))}"
    until(page, f"{shape} === {expected.shape[1]} && {near}")
    np.testing.assert_allclose(drawn(page, key), expected, rtol=1e-5, atol=1e-5)


def test_a_clicked_box_shows_its_tensor_and_a_clicked_head_is_chosen_and_back_undoes(open_page: Opener) -> None:
    page = opened(open_page, layer=1, head=0)
    trace = run(load_model("mla-rope", "cpu"), TEXT).layers[1]
    shows(page, trace.step("c_kv").value.numpy())
    click(page, "figure_flow_latent", "v", 1.5 / 6)
    page.wait_for_url(re.compile("tensor=v"))
    shows(page, trace.v[1].numpy())
    assert {name: link(page)[name] for name in ("tensor", "head")} == {"tensor": "v", "head": "1"}
    expect(area(page, "figure_flow_latent", "v")).to_have_attribute("aria-pressed", "true")
    click(page, "figure_flow_latent", "k_rope", 0.5)
    shows(page, trace.step("k_rope").value.numpy())
    assert link(page)["head"] == "1", "what all heads share leaves the head as it was"
    page.go_back()
    shows(page, trace.v[1].numpy())
    page.go_back()
    shows(page, trace.step("c_kv").value.numpy())


def test_a_box_of_the_model_beside_is_clicked_and_its_kv_head_chosen(open_page: Opener) -> None:
    page = opened(open_page, beside="gqa-rope", layer=1, head=5)
    trace = run(load_model("gqa-rope", "cpu"), TEXT).layers[1]
    page.wait_for_selector(".st-key-figure_flow_beside [data-testid=chart-area]")
    click(page, "figure_flow_beside", "k", 0.25)
    page.wait_for_url(re.compile("head=0"))
    shows(page, trace.k[0].numpy())
    assert link(page)["side"] == "beside"


def test_boxes_are_reached_and_picked_by_keyboard(open_page: Opener) -> None:
    page = opened(open_page, layer=0, head=4)
    box = area(page, "figure_flow_latent", "h")
    box.focus()
    page.keyboard.press("Tab")
    expect(area(page, "figure_flow_latent", "q_nope")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("tensor=q_nope"))
    trace = run(load_model("mla-rope", "cpu"), TEXT).layers[0]
    shows(page, trace.step("q_nope").value[4].numpy())
    menu = page.get_by_role("combobox", name=re.compile("Step"))
    menu.click()
    menu.fill("q·k")
    page.get_by_role("option", name=re.compile("^q·k")).click()
    shows(page, trace.step("products").value[4].numpy())


def test_a_diagram_that_stays_the_same_is_not_drawn_again(open_page: Opener) -> None:
    page = opened(open_page, layer=1, head=0)
    trace = run(load_model("mla-rope", "cpu"), TEXT).layers[1]
    shows(page, trace.step("c_kv").value.numpy())
    page.evaluate(f"window.drawn = 0; {plot('figure_flow_latent')}.on('plotly_afterplot', () => window.drawn++)")
    click(page, "figure_flow_latent", "h", 0.5)
    shows(page, trace.step("h").value.numpy())
    assert page.evaluate("window.drawn") == 0
    expect(area(page, "figure_flow_latent", "h")).to_have_attribute("aria-pressed", "true")
    click(page, "figure_flow_latent", "v", 3.5 / 6)
    shows(page, trace.v[3].numpy())
    until(page, "window.drawn === 1")


def test_a_box_says_what_it_is_when_hovered(open_page: Opener) -> None:
    page = opened(open_page)
    size = area(page, "figure_flow_latent", "c_kv").bounding_box()
    page.mouse.move(size["x"] + 5, size["y"] + 5)
    page.mouse.move(size["x"] + 9, size["y"] + 9)
    told = page.locator(".st-key-figure_flow_latent .hoverlayer")
    expect(told).to_contain_text("tokens × 128 numbers")
    expect(told).to_contain_text("kept by a decoder")


def test_the_button_of_each_box_lies_over_its_bars(open_page: Opener) -> None:
    page = opened(open_page)
    script = f"""(() => {{ const p = {plot("figure_flow_latent")}, l = p._fullLayout, r = p.getBoundingClientRect();
        const bars = p._fullData[0], at = (i) => r.x + l.xaxis._offset + l.xaxis.l2p(bars.base[i] + bars.x[i] / 2);
        const y = (i) => r.y + l.yaxis._offset + l.yaxis.l2p(bars.y[i]);
        const name = (i) => document.elementFromPoint(at(i), y(i))?.getAttribute('aria-label');
        return bars.customdata.map((told, i) => [told, name(i)]); }})()"""
    page.evaluate(f"{plot('figure_flow_latent')}.scrollIntoView({{block: 'start'}})")
    page.set_viewport_size({"width": 1280, "height": 1400})
    until(page, f"{plot('figure_flow_latent')}.getBoundingClientRect().y >= 0")
    for told, name in page.evaluate(script):
        symbol = re.sub("<.*?>", "", told.partition("<br>")[0].partition(" ·")[0].partition(", of")[0])
        names = {"c_kv": "cKV", "k_rope": "kR", "k_nope": "kC", "q_nope": "qC", "q_rope": "qR", "heads": "o"}
        short = str(name).partition(",")[0]
        assert names.get(short, short) == symbol, (told, name)


def test_the_absorbed_forms_steps_are_clicked_and_costs_are_drawn(open_page: Opener) -> None:
    page = opened(open_page, "absorbed", layer=1, context=64)
    model = load_model("mla-rope", "cpu")
    steps = {s.name: s.value for s in absorbing.layer_of(model, run(model, TEXT), 1).absorbed()}
    click(page, "figure_flow_absorbed", "z", 1.5 / 6)
    page.wait_for_url(re.compile("line=z"))
    shows(page, steps["z"][1].numpy(), "figure_line")
    costs = absorbing.costs(model.attention, 64)  # type: ignore[union-attr]  # a Model with MLA
    np.testing.assert_allclose(drawn(page, "figure_cost_operations", "x"), [c.flops for c in costs.values()])
    np.testing.assert_allclose(drawn(page, "figure_cost_bytes", "x"), [c.traffic() for c in costs.values()])
    assert (drawn(page, "figure_cost_time", "x") > 0).all()
    slider = page.get_by_role("slider", name=re.compile("Context"))
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_url(re.compile("context=256"))
    until(
        page,
        f"{plot('figure_cost_operations')}._fullData[0].x[0] === {absorbing.costs(model.attention, 256)['absorbed'].flops}",
    )  # type: ignore[union-attr]


def test_the_latents_curves_are_cores(open_page: Opener) -> None:
    page = opened(open_page, "latent", layer=3, component=1)
    model = load_model("mla-rope", "cpu")
    found = latent.components(latent.sample(model).latents[3], model.attention, model.layers[3])  # type: ignore[union-attr]
    np.testing.assert_allclose(drawn(page, "figure_shares", "y"), 100 * found.shares()["latent"].numpy(), atol=1e-6)
    mine = found.activations(run(model, TEXT).layers[3].cache.tensors["c_kv"])[:, 1]
    np.testing.assert_allclose(drawn(page, "figure_activation", "y"), mine.numpy(), atol=1e-4)


def test_the_tensor_on_screen_is_taken_away(open_page: Opener) -> None:
    page = opened(open_page, layer=1, head=2, tensor="k_nope")
    trace = run(load_model("mla-rope", "cpu"), TEXT).layers[1]
    page.get_by_text("Take it away").click()
    with page.expect_download() as sheet:
        page.get_by_role("button", name=re.compile("CSV")).click()
    _, *rows = csv.reader(open(sheet.value.path(), newline="", encoding="utf-8"))  # noqa: SIM115
    np.testing.assert_allclose(
        np.array([row[1:] for row in rows], float), trace.step("k_nope").value[2].numpy(), rtol=1e-5, atol=1e-5
    )
    with page.expect_download() as tensors:
        page.get_by_role("button", name=re.compile("safetensors")).click()
    arrays = load(open(tensors.value.path(), "rb").read())  # noqa: SIM115
    assert set(arrays) == {step.name for step in trace.steps}
    np.testing.assert_allclose(arrays["k"], trace.k.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_every_section_without_scrolling_sideways(open_page: Opener, dark: bool) -> None:
    page = opened(open_page, width=390, dark=dark)
    for name, title in SECTIONS.items():
        page.locator(".st-key-mla_section").get_by_text(title, exact=True).click()
        page.wait_for_selector(f".st-key-section_{name}")
        page.wait_for_selector(f".st-key-{FIRST[name]} .main-svg", state="attached")
        assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1, name
        widest = f"Array.from(document.querySelectorAll('.st-key-section_{name} .js-plotly-plot'), p => p.offsetWidth)"
        assert max(page.evaluate(widest), default=0) <= 390, name
    page.locator(".st-key-mla_section").get_by_text(SECTIONS["way"], exact=True).click()
    page.wait_for_selector(".st-key-figure_flow_latent [data-testid=chart-area]")
    narrow = area(page, "figure_flow_latent", "k_rope").bounding_box()
    assert narrow["width"] >= 16, "a narrow box can be hit with a finger"
