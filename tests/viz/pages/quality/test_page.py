"""The quality page without a browser."""

from __future__ import annotations

from functools import partial

import pytest

from headlight.core.analysis.sibling_quality import MEASURES
from headlight.core.registry import SIBLINGS, ModelRow
from headlight.viz.pages.quality.choices import QualityChoices
from tests.apptest import opened

page = partial(opened, "quality")


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_opens_from_its_link(measure: str) -> None:
    app = page(measure=measure)
    assert not app.exception
    assert app.selectbox(key="quality_measure").value == measure


def test_a_link_to_what_does_not_exist_is_noted() -> None:
    app = page(measure="charm", model="gpt-9")
    assert not app.exception
    assert "measure is unknown" in app.info[0].value and "isn't a sibling" in app.info[0].value


def test_marking_a_sibling_is_part_of_the_link() -> None:
    app = page()
    app.selectbox(key="quality_model").set_value("mha-rope").run()
    assert app.query_params["model"] == "mha-rope"


def test_without_siblings_the_page_says_how_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelRow, "installed", False)
    app = page()
    assert not app.exception
    assert "training.run" in app.info[0].value


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("model", [None, next(iter(SIBLINGS))])
def test_a_link_brings_back_the_choices_it_was_made_of(measure: str, model: str | None) -> None:
    choices = QualityChoices(measure, model)
    assert QualityChoices.parse(choices.link(), QualityChoices()) == (choices, [])
