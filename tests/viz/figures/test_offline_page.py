"""The picture as one file: nothing is fetched, and no text becomes markup."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest

from headlight import run
from headlight.viz.figures import head_map, offline_page
from headlight.viz.figures.summary import head_sentence
from tests.viz.texts import HOSTILE


class _Reader(HTMLParser):
    """Collects elements with their attributes and the text outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if not self._inside:
            self.text.append(data)


def _page(model, text: str) -> str:
    result = run(model, text, layers=[1])
    return offline_page(result, 1, 2, head_map(result, 1, 2), head_sentence(result, 1, 2, 0), "#111111", "#ffffff")


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    return reader


def test_the_page_fetches_nothing(minilm, sentence):
    elements = _read(_page(minilm, sentence)).elements
    fetching = [(tag, attrs) for tag, attrs in elements if {"src", "href", "data", "action", "srcset"} & set(attrs)]
    assert fetching == []
    assert {tag for tag, _ in elements}.isdisjoint({"link", "iframe", "object", "embed", "base", "form", "img"})
    (policy,) = [a["content"] for tag, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    allowed = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert allowed.pop("default-src") == "'none'"
    assert allowed == {"script-src": "'unsafe-inline'", "style-src": "'unsafe-inline'", "img-src": "data: blob:"}


def test_the_page_carries_plotly_and_the_figure(minilm, sentence):
    page = _page(minilm, sentence)
    assert 3e6 < len(page) < 8e6
    assert "Plotly.newPlot(" in page
    assert "Layer 1 \\u00b7 head 2" in page or "Layer 1 · head 2" in page


def test_the_page_says_in_words_what_is_seen(minilm, sentence):
    words = " ".join("".join(_read(_page(minilm, sentence)).text).split())
    assert sentence in words
    assert "Head 2 of layer 1: “[CLS]” looks mostly at" in words
    assert "Model: minilm · layer 1 · head 2 · 17 tokens." in words


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup_on_the_page(smollm2, text):
    plain, hostile = _page(smollm2, "x"), _page(smollm2, text)
    shape = [(tag, sorted(attrs)) for tag, attrs in _read(plain).elements]
    assert [(tag, sorted(attrs)) for tag, attrs in _read(hostile).elements] == shape
    quote = re.search(r'<blockquote dir="auto">(.*?)</blockquote>', hostile, re.DOTALL)[1]
    assert "<" not in quote
    shown = html.unescape(quote)
    assert [c for c in shown if c.isalnum()] == [c for c in text if c.isalnum()]
