"""Checkpoints of one's own on the page: offered by the operator, or named by the visitor where that is allowed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.hub.checkpoints import READ, TEXT, write
from tests.viz.pages.explore.test_page import page


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """start("--any-model"): the next page belongs to an app started with these arguments."""

    def with_arguments(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["streamlit", *arguments])
        st.cache_resource.clear()

    yield with_arguments
    st.cache_resource.clear()


def own_field(app: AppTest) -> bool:
    return any(field.key == "own_name" for field in app.text_input)


def test_visitors_may_not_name_models_unless_the_app_was_started_so(start) -> None:
    start()
    assert not own_field(page())
    start("--any-model")
    assert own_field(page())


def test_a_checkpoint_that_a_visitor_names_is_loaded_and_shown(start, tmp_path: Path) -> None:
    write(tmp_path, READ["gemma2, soft cap and window"]())
    start("--any-model")
    app = page(text=TEXT)
    app.text_input(key="own_name").set_value(str(tmp_path))
    app.button[0].click().run()
    assert not app.exception
    assert app.query_params["model"] == str(tmp_path)
    assert any("tanh" in formula.value for formula in app.latex)


def test_a_refusal_is_said_and_the_picture_stays(start, tmp_path: Path) -> None:
    write(tmp_path, READ["bert"]())
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    start("--any-model")
    app = page()
    app.text_input(key="own_name").set_value(str(tmp_path))
    app.button[0].click().run()
    assert not app.exception
    assert "safetensors only" in app.warning[0].value
    assert app.query_params["model"] == "minilm"


def test_a_checkpoint_of_the_operators_is_in_the_menu_and_in_links(start, tmp_path: Path) -> None:
    write(tmp_path, READ["bert"]())
    start("--model", str(tmp_path))
    app = page(model=str(tmp_path), text=TEXT)
    assert not app.exception
    assert app.query_params["model"] == str(tmp_path)
    assert app.segmented_control(key="model").value == str(tmp_path)


def test_an_operators_checkpoint_that_cannot_be_loaded_gives_way_to_one_that_can(start, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    start("--model", str(tmp_path))
    app = page(model=str(tmp_path))
    assert not app.exception
    assert "config" in app.warning[0].value
    assert app.query_params["model"] == "minilm"


def test_a_link_cannot_make_the_app_load_a_checkpoint(start, tmp_path: Path) -> None:
    write(tmp_path, READ["bert"]())
    start("--any-model")
    app = page(model=str(tmp_path))
    assert "not on this machine" in app.info[0].value
    assert app.query_params["model"] == "minilm"
