"""Whole pages on hostile links: no exception, no visitor's markup in anything that is read as Markdown or HTML."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import fields

import pytest
from streamlit.testing.v1 import AppTest

from headlight.core.analysis.sibling_quality import MEASURES
from headlight.viz.pages.cache import choices as cache
from headlight.viz.pages.learn import choices as learn
from headlight.viz.pages.mla import choices as mla
from headlight.viz.pages.positions import choices as positions
from tests.hostile import making
from tests.hostile.making import EVIL, TIMES
from tests.hostile.test_functions import FITTING, PAGES

# Page -> the parameter that opens a section, and the sections: each is run once on a hostile link, since what links become is
# tried by the thousand in test_functions. Left out: "long", which reads whole documents, and "surgery", which converts models.
SECTIONS: dict[str, tuple[str, Sequence[str]]] = {
    "explore": ("layer", "01234"),
    "compare": ("heads", "012"),
    "learn": ("step", list(learn.STEPS)),
    "positions": ("section", list(positions.SECTIONS)),
    "cache": ("section", list(cache.SECTIONS)),
    "mla": ("section", list(mla.SECTIONS)),
    "quality": ("measure", list(MEASURES)),
}
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


@pytest.mark.parametrize("page", SECTIONS)
def test_a_hostile_link_is_a_page_without_exception_and_without_markup(page):
    fallback, more = PAGES[page]
    names, rng = [f.name for f in fields(fallback)] + more, random.Random(f"page {page}")
    parameter, sections = SECTIONS[page]
    for section in [*sections] * TIMES:
        link = making.link(rng, names, FITTING) | {parameter: section}
        params = {making.sendable(name): making.sendable(value[:2_000]) for name, value in link.items()}
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
