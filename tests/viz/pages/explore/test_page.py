"""Explore without a browser: what the script itself answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from headlight.core.checkpoints import packages
from headlight.core.registry import MODELS, SIBLINGS, ModelRow

FRAME = str(Path(__file__).resolve().parents[4] / "viz" / "frame" / "main.py")


def page(**link: str) -> AppTest:
    app = AppTest.from_file(FRAME, default_timeout=120)
    for name, value in link.items():
        app.query_params[name] = value
    return app.run()


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """Makes packages look as if they were not installed."""
    real = packages.installed_version
    monkeypatch.setattr(packages, "installed_version", lambda name: None if name in missing else real(name))


def test_without_the_wheels_the_siblings_are_shown_and_the_others_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, *(row.package for row in MODELS.values() if row.package))
    app = page()
    assert not app.exception
    assert app.query_params["model"] in SIBLINGS
    assert any("MiniLM, SmolLM2" in c.value and "headlight models --install" in c.value for c in app.caption)


def test_a_machine_without_any_model_says_which_command_brings_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelRow, "installed", False)
    app = page()
    assert not app.exception
    assert "headlight models --install" in app.error[0].value


def test_a_missing_model_is_named_with_its_command_and_the_other_one_works(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, MODELS["minilm"].package)
    app = page()
    assert not app.exception
    assert any("MiniLM" in c.value and "headlight models --install" in c.value for c in app.caption)
    assert app.query_params["model"] == "smollm2"


def test_a_link_to_a_model_that_does_not_exist_shows_another_and_says_so() -> None:
    app = page(model="gpt-9")
    assert not app.exception
    assert "not on this machine; showing MiniLM" in app.info[0].value


@pytest.mark.parametrize("text", ["", " ", "\n\t", "x" * 30_000, "word " * 3_000])
def test_a_link_with_unreadable_text_gives_one_line_and_no_traceback(text: str) -> None:
    app = page(text=text)
    assert not app.exception
    assert len(app.warning) == 1


def test_switching_the_model_follows_the_picked_words() -> None:
    app = page(text="We saw that the old dog slept.", model="minilm", layer="2", head="3", query="6", key="5")
    app.segmented_control(key="model").set_value("smollm2").run()
    assert not app.exception
    assert (app.query_params["query"], app.query_params["key"]) == ("5", "4")


def test_an_emptied_model_choice_changes_nothing() -> None:
    app = page()
    app.segmented_control(key="model").set_value(None).run()
    assert not app.exception
    assert app.query_params["model"] == "minilm"


@pytest.mark.parametrize("measure", ["weight", "previous", "first", "entropy"])
@pytest.mark.parametrize("everyone", ["0", "1"])
def test_every_measure_draws(measure: str, everyone: str) -> None:
    app = page(measure=measure, everyone=everyone, query="0", key="0")
    assert not app.exception
    undefined = everyone == "0" and measure in ("previous", "first")
    assert len(app.pills) == (0 if undefined else 1)
