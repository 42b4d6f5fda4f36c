"""Explore in a real browser, as a visitor meets it: first paint, typing, every control, links, Back, phone, dark."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load

from headlight import run
from tests.browser import server
from tests.visiting import SENTENCE, until

pytestmark = pytest.mark.browser
Opener = Callable[..., Page]

MAP = "document.querySelector('.st-key-head_map .js-plotly-plot')"
# The numbers of the drawn map, decoded by Plotly, blank cells as null.
NUMBERS = f"Array.from({MAP}._fullData[0].z, row => Array.from(row, v => Number.isNaN(v) ? null : v))"
LABELS = f"{MAP}.layout.xaxis.ticktext"


def link(page: Page) -> dict[str, str]:
    """The parameters in the address bar."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def type_sentence(page: Page, text: str) -> None:
    box = page.locator(".st-key-text input")
    box.fill(text)
    box.press("Enter")


def test_the_first_picture_is_the_models_own_numbers(open_page: Opener, minilm) -> None:
    page = open_page()
    drawn = np.array(page.evaluate(NUMBERS), dtype=float)
    expected = run(minilm, SENTENCE, layers=[3]).layers[3].weights[1].numpy()
    assert np.abs(drawn - expected).max() < 1e-5
    tokens = page.evaluate(LABELS)
    assert drawn[tokens.index("it"), tokens.index("animal")] == pytest.approx(0.689, abs=5e-4)
    assert page.get_by_test_id("token-11").get_attribute("aria-selected") == "true"
    expect(page.get_by_test_id("strip-caption")).to_contain_text("it looks mostly at animal (0.689)")
    assert link(page) | {"model": "minilm", "layer": "3", "head": "1", "query": "11", "key": "2"} == link(page)


def test_the_derivation_on_screen_multiplies_out(open_page: Opener) -> None:
    page = open_page()
    page.wait_for_selector(".st-key-derivation .katex")
    formulas = page.locator(".st-key-derivation annotation").all_text_contents()
    text = " ".join(formulas)
    product, scale = map(float, re.search(r"= (-?[\d.]+) \\times ([\d.]+)\s*\\\\", text).groups())
    score = float(re.search(r"s = (-?[\d.]+)", text)[1])
    log_sum = float(re.search(r"e\^\{s_u\} = (-?[\d.]+)", text)[1])
    weight = float(re.search(r"e\^\{[-\d. ]+\} = ([\d.]+)", text)[1])
    assert product * scale == pytest.approx(score, abs=2e-4)
    assert np.exp(score - log_sum) == pytest.approx(weight, abs=2e-4)
    bars = "document.querySelector('.st-key-score-bars .js-plotly-plot')._fullData.map(t => Array.from(t.y))"
    q, k, both = page.evaluate(bars)
    assert np.allclose(np.multiply(q, k), both, atol=1e-5)
    assert sum(both) == pytest.approx(product, abs=1e-3)


def test_typing_redraws_and_keeps_the_picked_tokens(open_page: Opener) -> None:
    page = open_page()
    type_sentence(page, "Yesterday the animal didn't cross the street, because it was too tired.")
    until(page, f"{LABELS}.includes('yesterday') || {LABELS}.includes('Yesterday')")
    expect(page.get_by_test_id("strip-caption")).to_contain_text("it looks mostly at animal")
    assert (link(page)["query"], link(page)["key"]) == ("12", "3")


def test_live_typing_needs_no_enter(open_page: Opener) -> None:
    page = open_page()
    page.locator(".st-key-text input").press_sequentially(" Surely.")
    until(page, f"{LABELS}.includes('Surely')")


def test_every_control_changes_the_picture_and_the_link(open_page: Opener) -> None:
    page = open_page()
    page.get_by_test_id("head-4").click()
    until(page, f"{MAP}.layout.title.text === 'Layer 3 · head 4'")
    page.get_by_role("slider", name="Layer").press("ArrowRight")
    until(page, f"{MAP}.layout.title.text === 'Layer 4 · head 4'")
    page.get_by_role("slider", name="Head").press("ArrowLeft")
    until(page, f"{MAP}.layout.title.text === 'Layer 4 · head 3'")
    page.get_by_test_id("token-2").click()
    expect(page.get_by_test_id("token-2")).to_have_attribute("aria-selected", "true")
    page.get_by_text("Leave the first token out of the colour scale").click()
    until(page, f"{MAP}._fullData[0].zmax < 1")
    assert link(page) | {"layer": "4", "head": "3", "query": "2", "skip_first": "1"} == link(page)
    page.get_by_role("radio", name="SmolLM2").or_(page.get_by_text("SmolLM2", exact=True)).first.click()
    until(page, f"{MAP}.layout.title.text === 'Layer 13 · head 8' && {LABELS}.length === 14")
    assert link(page)["model"] == "smollm2"
    expect(page.get_by_test_id("group-2").locator(".bracket")).to_contain_text("KV head 2")


def test_masked_cells_are_blank(open_page: Opener) -> None:
    page = open_page(model="smollm2")
    drawn = np.array(page.evaluate(NUMBERS), dtype=float)
    assert np.isnan(drawn[np.triu_indices(len(drawn), k=1)]).all()
    assert np.isfinite(drawn[np.tril_indices(len(drawn))]).all()


def test_hovering_a_token_shades_the_others_without_the_server(open_page: Opener, minilm) -> None:
    page = open_page()
    frames: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", frames.append))
    page.get_by_test_id("token-6").hover()
    weights = run(minilm, SENTENCE, layers=[3]).layers[3].weights[1, 6]
    expect(page.get_by_test_id("token-6")).to_have_class(re.compile("focus"))
    best = int(weights.argmax())
    expect(page.get_by_test_id(f"token-{best}").locator(".number")).to_have_text(f"{weights[best]:.3f}".lstrip("0"))
    expect(page.locator(".st-key-head_map").get_by_test_id("chart-row")).to_be_visible()
    expect(page.locator(".st-key-survey_map").get_by_test_id("chart-row")).to_be_hidden()
    assert frames == []


def test_hovering_and_clicking_a_cell_names_and_picks_it(open_page: Opener) -> None:
    page = open_page()
    box = page.evaluate(
        f"""(() => {{ const l = {MAP}._fullLayout, r = {MAP}.getBoundingClientRect();
        return [r.x + l.xaxis._offset + l.xaxis.l2p(8), r.y + l.yaxis._offset + l.yaxis.l2p(6)]; }})()"""
    )
    page.mouse.move(*box)
    expect(page.locator(".st-key-head_map .hoverlayer")).to_contain_text(re.compile(r"cross looks at street: 0\.\d{3}"))
    page.mouse.click(*box)
    page.wait_for_url(re.compile("query=6&key=8"))
    page.get_by_text("“cross” looks at “street”").first.wait_for()


def test_heads_are_found_across_layers(open_page: Opener) -> None:
    page = open_page()
    page.get_by_text("5.11 · 0.683").click()
    until(page, f"{MAP}.layout.title.text === 'Layer 5 · head 11'")


def test_an_example_is_drawn_at_its_own_head(open_page: Opener) -> None:
    page = open_page()
    page.get_by_text("Examples").click()
    page.get_by_text("Trophy or suitcase?").click()
    until(page, f"{LABELS}.includes('suitcase')")
    expect(page.get_by_test_id("strip-caption")).to_contain_text("it looks mostly at trophy (0.581)")


def test_back_and_forward_undo_and_redo(open_page: Opener) -> None:
    page = open_page()
    page.get_by_test_id("head-4").click()
    page.wait_for_url(re.compile("head=4"))
    page.get_by_test_id("head-7").click()
    page.wait_for_url(re.compile("head=7"))
    page.go_back()
    until(page, f"{MAP}.layout.title.text === 'Layer 3 · head 4'")
    page.go_back()
    until(page, f"{MAP}.layout.title.text === 'Layer 3 · head 1'")
    page.go_forward()
    until(page, f"{MAP}.layout.title.text === 'Layer 3 · head 4'")
    assert link(page)["head"] == "4"


def test_a_link_shows_a_friend_the_same_picture_on_a_fresh_server(open_page: Opener, tmp_path: Path) -> None:
    page = open_page(text="Anna gave Peter her book.", layer=5, head=4, query=4, key=1, skip_first=1)
    page.get_by_test_id("head-6").click()
    until(page, f"{MAP}.layout.title.text === 'Layer 5 · head 6'")
    page.wait_for_url(re.compile("head=6"))
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied", exact=True).wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.url
    with server(tmp_path / "log") as fresh:
        friend = open_page(base=fresh, **{name: values[0] for name, values in parse_qs(urlsplit(copied).query).items()})
        assert friend.evaluate(NUMBERS) == page.evaluate(NUMBERS)
        assert friend.evaluate(f"{MAP}._fullData[0].zmax") == page.evaluate(f"{MAP}._fullData[0].zmax")
        assert friend.get_by_test_id("token-4").get_attribute("aria-selected") == "true"
        assert urlsplit(friend.url).query == urlsplit(page.url).query


def test_impossible_links_show_the_nearest_choice_and_say_so(open_page: Opener) -> None:
    page = open_page(layer=99, head=-3, query=500, key="abc", measure="zzz")
    until(page, f"{MAP}.layout.title.text === 'Layer 5 · head 0'")
    for word in ("Layer 99 does not exist", "Head -3 does not exist", "Token 500 does not exist", "measure is unknown"):
        page.get_by_text(word).wait_for()


HOSTILE = (
    "<b>bold</b> <a href='https://example.org'>a</a> <img src=x onerror=alert(1)> "
    "$x^2$ [l](http://e.org) `c` **d** :smile: %{z}"
)


@pytest.mark.parametrize("model", ["minilm", "smollm2"])
def test_markup_stays_text_everywhere(open_page: Opener, model: str) -> None:
    page = open_page(model=model, text=HOSTILE)
    for testid in ("token-strip", "head-grid"):
        assert page.get_by_test_id(testid).locator("a, img, script").count() == 0
        assert page.get_by_test_id(testid).locator("b", has_text="bold").count() == 0
    inside = page.locator(".st-key-head_map svg")
    assert inside.locator("a").count() == 0
    assert page.locator("[data-testid=stMain] a[href*='e.org'], [data-testid=stMain] a[href*='example']").count() == 0
    assert page.evaluate(LABELS)[1 if model == "minilm" else 0].replace("&lt;", "<").startswith("<")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing to read"),
        ("   ", "nothing to read"),
        ("word " * 2000, "tokens; MiniLM reads 512 at most"),
    ],
)
def test_unreadable_text_says_why_and_keeps_the_picture(open_page: Opener, text: str, says: str) -> None:
    page = open_page()
    type_sentence(page, text)
    page.get_by_text(re.compile(says, re.IGNORECASE)).wait_for()
    assert "animal" in page.evaluate(LABELS)
    assert page.locator(".st-key-text input").input_value() == text
    type_sentence(page, "It works again.")
    until(page, f"{LABELS}.includes('works')")


@pytest.mark.parametrize("text", ["a", "🦊👩‍👩‍👧", "שלום עולם", "é̂ å", "a\u0000b\u0007c", "\ud83d unpaired", "x" * 400])
def test_odd_text_gives_a_picture(open_page: Opener, text: str) -> None:
    page = open_page()
    type_sentence(page, text)
    until(page, f"!{LABELS}.includes('animal')")
    assert np.nansum(np.array(page.evaluate(NUMBERS), dtype=float), axis=1) == pytest.approx(1.0, abs=1e-4)


def test_the_numbers_can_be_taken_away(open_page: Opener, minilm) -> None:
    page = open_page()
    page.get_by_text("Take it away").click()
    weights = run(minilm, SENTENCE, layers=[3]).layers[3].weights

    def download(name: str) -> Path:
        with page.expect_download() as waiting:
            page.get_by_role("button", name=re.compile(name)).click()
        return waiting.value.path()

    rows = list(csv.reader(io.StringIO(download("CSV").read_text())))
    assert np.abs(np.array([row[1:] for row in rows[1:]], dtype=float) - weights[1].numpy()).max() < 1e-6
    assert np.array_equal(load(download("safetensors").read_bytes())["weights"], weights.numpy())
    assert np.array_equal(np.load(download("npz"))["weights"], weights.numpy())
    elsewhere = page.context.new_page()  # the app's own page lets no script in markup run
    elsewhere.set_content(download("HTML").read_text())
    elsewhere.wait_for_selector(".heatmaplayer image")


@pytest.mark.parametrize(("button", "magic"), [("png", b"\x89PNG"), ("SVG", b"<svg")])
def test_the_picture_can_be_taken_away(open_page: Opener, button: str, magic: bytes) -> None:
    page = open_page()
    page.locator(".st-key-head_map .js-plotly-plot").hover()
    with page.expect_download() as waiting:
        page.locator(f".st-key-head_map .modebar-btn[data-title*='{button}' i]").first.click()
    assert waiting.value.path().read_bytes().startswith(magic)
    assert waiting.value.suggested_filename.startswith("headlight-minilm-layer3-head1")


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_everything_without_scrolling_sideways(open_page: Opener, dark: bool) -> None:
    page = open_page(width=390, dark=dark)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("e => e.scrollWidth - e.clientWidth") <= 1
    assert page.locator(".st-key-head_map .js-plotly-plot").bounding_box()["width"] <= 390
    page.get_by_test_id("head-5").click()
    until(page, f"{MAP}.layout.title.text === 'Layer 3 · head 5'")


def test_dark_figures_follow_the_visitors_theme(open_page: Opener) -> None:
    light, dark = (open_page(dark=d).evaluate(f"{MAP}.layout.font.color") for d in (False, True))
    assert light != dark


def test_the_keyboard_reaches_a_token_and_a_head(open_page: Opener) -> None:
    page = open_page()
    page.get_by_test_id("token-11").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("query=12"))
    page.get_by_test_id("head-1").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("head=2"))
