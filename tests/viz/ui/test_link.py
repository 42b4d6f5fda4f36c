"""From how a field is declared follow the reading of a link, its spelling and its notes; no page and no Streamlit is needed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from headlight.viz.ui.link import Choices, among, choice, declared, partial_link, several, switch, whole


@dataclass(frozen=True)
class Garden(Choices):
    """Choices of a page that is none."""

    text: str = choice()
    section: str = choice("beds", among(("beds", "trees")), always=True)
    beds_width: int = choice(3, whole(1, 9))
    rows: tuple[int, ...] = choice((1, 2), several(whole(0, 9), 3), name="list of rows", parameter="row")
    wet: bool = choice(False, switch)
    depth: float = choice(
        0.5, lambda value: float(value) if value in ("0.5", "2") else None, refused="{name}: too deep."
    )
    rain: int = choice(0, whole(0, 5), always=True, when=lambda choices: choices.wet)
    tools: tuple[str, ...] = choice((), None)


@dataclass(frozen=True)
class Planted(Garden):
    """The same, all made."""

    text: str


START = Garden("x")


def test_a_link_states_what_is_not_at_its_default_and_what_it_always_states() -> None:
    assert START.link() == {"text": "x", "section": "beds"}
    full = Garden("", "trees", 4, (3,), True, 2.0, 0, ("rake",))
    assert full.link() == {
        "text": "", "section": "trees", "beds_width": "4", "row": "3", "wet": "1", "depth": "2", "rain": "0",
    }  # fmt: skip


def test_what_a_link_states_is_read_and_the_rest_is_where_the_page_begins() -> None:
    start = Garden("other", beds_width=9, tools=("rake",))
    assert Garden.parse({"row": "7.8", "wet": "1", "rain": "5", "more": "1"}, start) == (
        Garden("other", beds_width=9, rows=(7, 8), wet=True, rain=5, tools=("rake",)), [],
    )  # fmt: skip


def test_what_a_rule_refuses_is_noted_by_the_name_that_people_know() -> None:
    choices, notes = Garden.parse({"beds_width": "0", "row": "1.1", "depth": "9", "wet": "yes"}, START)
    assert choices == START
    assert notes == [
        "The link's width isn't valid here; using the default.",
        "The link's list of rows isn't valid here; using the default.",
        "depth: too deep.",
    ]


def test_a_link_from_another_page_states_the_named_fields_alone() -> None:
    assert partial_link(Garden, {"beds_width": 3, "rows": (1,), "wet": True}) == {
        "beds_width": "3",
        "row": "1",
        "wet": "1",
    }


@pytest.mark.parametrize("fields", [{"beds_width": 10}, {"tools": ("rake",)}, {"width": 3}, {"section": "pond"}])
def test_a_link_that_cannot_be_read_back_is_not_made(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no link to this page can state"):
        partial_link(Garden, fields)


def test_a_subclass_that_narrows_a_field_is_spelled_as_its_base() -> None:
    assert declared(Planted) == declared(Garden)
    assert Planted("x", "trees", 5).link() == Garden("x", "trees", 5).link()
