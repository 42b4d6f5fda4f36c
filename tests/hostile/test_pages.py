"""Whole pages on hostile links: no exception, no visitor's markup in anything that is read as Markdown or HTML."""

from __future__ import annotations

import random
from dataclasses import fields

import pytest
from streamlit.testing.v1 import AppTest

from tests.hostile import making
from tests.hostile.making import EVIL, TIMES
from tests.hostile.test_functions import FITTING, PAGES

# What costs little in a page; "long" reads whole documents and "surgery" converts models, which have fewer cases.
CASES = {"explore": 25, "compare": 8, "learn": 20, "positions": 25, "cache": 25, "mla": 12, "quality": 25}
MARKED = (
    "markdown",
    "error",
    "warning",
    "info",
    "success",
    "caption",
    "title",
    "header",
    "subheader",
    "metric",
    "table",
)


def shown(app: AppTest) -> list[str]:
    """Everything on the page that Streamlit reads as Markdown."""
    return [str(getattr(element, "value", "")) for kind in MARKED for element in app.get(kind)]


def markup(words: str) -> bool:
    """Whether a piece of a visitor's text stands in Markdown as it was typed."""
    return any(piece in words for piece in making.MARKUP if EVIL in piece)


@pytest.mark.parametrize("page", CASES)
def test_a_hostile_link_is_a_page_without_exception_and_without_markup(page):
    fallback, more = PAGES[page]
    names, rng = [f.name for f in fields(fallback)] + more, random.Random(f"page {page}")
    for _ in range(CASES[page] * TIMES):
        params = {
            making.sendable(name): making.sendable(value[:2_000])
            for name, value in making.link(rng, names, FITTING).items()
        }
        app = AppTest.from_function(_one_page, default_timeout=120, kwargs={"name": page})
        for name, value in params.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, (params, [e.value for e in app.exception])
        assert not [words for words in shown(app) if markup(words)], params


def _one_page(name: str) -> None:
    """The page as the navigation would run it."""
    import importlib

    importlib.import_module(f"headlight.viz.pages.{name}.page").page()
