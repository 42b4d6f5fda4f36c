"""Back and Forward pressed while an answer is under way: the page ends in the state of the address, at whatever moment."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, TimeoutError

from tests.browser import free_port, serving
from tests.visiting import until
from tests.viz.pages.explore.test_browser import Opener

pytestmark = pytest.mark.browser
MOMENTS = 10


@dataclass(frozen=True)
class Slowed:
    """A server of tests/app/slowed.py, and how it is told where to stop."""

    url: str
    control: str

    def tell(self, word: str) -> int:
        """Returns how many messages the last answer had."""
        with urllib.request.urlopen(f"{self.control}/{word}", timeout=60) as answer:
            return int(answer.read())


@pytest.fixture(scope="module")
def slowed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slowed]:
    port, control = free_port(), free_port()
    log = tmp_path_factory.mktemp("slowed") / "log"
    with serving(["tests.app.slowed", str(port), str(control)], f"http://127.0.0.1:{port}", log) as url:
        yield Slowed(url, f"http://127.0.0.1:{control}")


@dataclass(frozen=True)
class Place:
    """A page on which one number is chosen: how, and where its picture, its slider and the address show it (JavaScript)."""

    path: str
    link: dict[str, str]
    choose: Callable[[Page, int], object]
    picture: str
    slider: str
    address: str

    def agrees(self) -> str:
        """Picture, slider and address show the same number."""
        return f"({self.picture}) === ({self.address}) && ({self.slider}) === ({self.address})"


def _title(key: str) -> str:
    return f"document.querySelector('.st-key-{key} .js-plotly-plot')?.layout.title.text.match(/\\d+/g).at(-1)"


def _value(key: str) -> str:
    return f"document.querySelector('.st-key-{key} input[type=range]')?.value"


def _parameter(name: str) -> str:
    return f"(new URLSearchParams(location.search).get('{name}') ?? '0')"


def _press(page: Page, number: int) -> None:
    slider = page.get_by_role("slider", name="Head drawn as a map")
    now = int(slider.input_value())
    for _ in range(abs(number - now)):
        slider.press("ArrowRight" if now < number else "ArrowLeft")


PLACES = {
    "the whole page runs": Place(
        "", {"model": "gqa-rope", "layer": "1", "head": "0", "text": "The old dog saw the cat."},
        lambda page, number: page.get_by_test_id(f"head-{number}").click(),
        _title("head_map"), _value("head"), _parameter("head"),
    ),
    "a section runs alone": Place(
        "positions", {"section": "alibi", "text": "x"}, _press, _title("figure_bias"), _value("positions_head_alibi"),
        _parameter("head_alibi"),
    ),
}  # fmt: skip


QUIET = "!document.querySelector('[data-testid=stStatusWidget]')"


def settled(page: Page, place: Place, quiet: int = 50) -> str:
    """Waits until nothing is under way; the number that picture, slider and address agree on.

    They have to agree for `quiet` milliseconds without a break: what is on the way to the browser might still undo it.
    """
    page.evaluate("window.since = undefined")
    agree = f"window.since = {place.agrees()} && {QUIET} ? window.since ?? performance.now() : undefined"
    try:
        until(page, f"({agree}) !== undefined && performance.now() - window.since > {quiet}")
    except TimeoutError:
        shown = page.evaluate(f"[{place.picture}, {place.slider}, {place.address}]")
        raise AssertionError("picture {}, slider {}, address {}".format(*shown)) from None
    return str(page.evaluate(place.address))


def chosen(page: Page, place: Place, number: int) -> None:
    place.choose(page, number)
    until(page, f"{place.address} === '{number}'")
    assert settled(page, place) == str(number)


def under_way(page: Page, place: Place, slowed: Slowed, at: int, act: Callable[[], object], wait: str = "") -> str:
    """Back while the answer to an act stops at a message; the number it ends in. wait: for an address to be there before."""
    slowed.tell(f"hold/{at}")
    act()
    slowed.tell("held")
    if wait:
        until(page, f"{place.address} === '{wait}'")
    page.go_back()
    slowed.tell("go")
    return settled(page, place, quiet=700)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_the_page_ends_in_the_state_of_the_address(place: Place, open_page: Opener, slowed: Slowed) -> None:
    page = open_page(base=slowed.url, path=place.path, painted=False, **place.link)
    settled(page, place)
    for number in (2, 4):  # some way to go back
        chosen(page, place, number)
    messages = slowed.tell("count")
    for moment in range(MOMENTS):
        at = 1 + moment * (messages - 1) // (MOMENTS - 1)
        before = 2 if settled(page, place) == "4" else 4  # one step from 3: a slider passes what lies between
        chosen(page, place, before)
        # The address is an answer's first message. At every other moment Back is pressed before the browser has it.
        ends = under_way(page, place, slowed, at, lambda: place.choose(page, 3), wait="3" if moment % 2 else "")
        assert ends == str(before) or not moment % 2, "Back leads to what was there before the choice"
        if moment % 4 < 2:  # Back while the answer to Back is under way, else to Forward
            page.go_forward()
            settled(page, place)
        under_way(page, place, slowed, at, page.go_back if moment % 4 < 2 else page.go_forward)
        page.go_forward()
        if settled(page, place) == "3":
            chosen(page, place, 2)
