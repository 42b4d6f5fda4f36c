"""Five hundred hostile texts through one tab of a real browser, the page looked at after every sentence made of them."""

from __future__ import annotations

import random
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.hostile import making
from tests.hostile.making import EVIL, TIMES
from tests.visiting import until

LINKS, SENTENCES, TEXTS = 6, 12, 7  # links that are opened, sentences typed on each, texts in one: 504 together
FIRST = ("river", "garden")  # the first word of a sentence, in turns, by which one is told from the one before
REST = "document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'"
# Anything that was made from a visitor's text and is no text: elements, addresses and attributes that hold it.
MADE = f"""() => [...document.querySelectorAll('img, script, iframe, svg, a, b, h1, h2, [onerror], [onload]')].filter(
    e => /{EVIL}/.test(e.getAttribute('src') || '') || /{EVIL}/.test(e.getAttribute('href') || '')
      || /{EVIL}/.test(e.getAttribute('onerror') || '') || /{EVIL}/.test(e.getAttribute('onload') || '')
      || (['SCRIPT', 'IFRAME', 'B'].includes(e.tagName) && /{EVIL}/.test(e.textContent))).length"""


@pytest.mark.browser
@pytest.mark.timeout(900 * TIMES)
def test_hostile_sentences_and_links_leave_the_page_whole(open_page) -> None:
    rng = random.Random("browser")
    page: Page = open_page(path="")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    base = page.url.partition("?")[0]
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if EVIL in request.url.partition("?")[0] else None)
    for _ in range(LINKS * TIMES):
        link = making.link(
            rng, ["text", "layer", "head", "query", "key", "measure", "skip_first"], ["1", "weight", "A dog"]
        )
        clean = {making.sendable(name): making.sendable(value[:1500]) for name, value in link.items()}
        page.goto(f"{base}?{urlencode(clean)}")
        for i in range(SENTENCES):
            sentence = " ".join([FIRST[i % 2], *(making.text(rng) for _ in range(TEXTS))])[:400]
            page.get_by_role("textbox", name="Sentence").fill(making.sendable(sentence).replace("\x00", "␀"))
            expect(page.locator(".st-key-strip")).to_contain_text(FIRST[i % 2])
            until(page, REST)
            assert page.locator(".stException").count() == 0 and page.evaluate(MADE) == 0, (clean, sentence)
    assert dialogs == [] and outside == []
