"""Text for Plotly: visible, short, and never markup."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headlight.viz.text import label_room, labels, plotly_text, shorten, shorten_label, visible
from tests.viz.texts import HOSTILE

anything = st.text(max_size=40) | st.sampled_from(HOSTILE) | st.text("<>&$;abr/=#36 \n", max_size=30)
ENTITY = re.compile(r"&(lt|gt|amp|#36);")


@given(piece=anything)
def test_a_label_holds_no_markup_and_no_tex(piece):
    for label in (plotly_text(piece), *labels((piece, piece), 7), shorten_label(plotly_text(piece))):
        assert not set(label) & set("<>$")
        assert "&" not in ENTITY.sub("", label)


@given(piece=anything)
def test_a_label_shows_the_piece_itself(piece):
    assert html.unescape(plotly_text(piece, limit=10_000)) == visible(piece)


@given(piece=anything, limit=st.integers(1, 30))
def test_a_label_is_no_longer_than_asked_for(piece, limit):
    assert len(html.unescape(plotly_text(piece, limit))) <= limit
    assert len(html.unescape(shorten_label(plotly_text(piece), limit))) <= limit


@given(piece=anything)
def test_nothing_in_a_label_is_invisible_or_turns_its_surroundings(piece):
    shown = visible(piece)
    assert shown.strip()
    hidden = [c for c in shown if unicodedata.category(c)[0] in "CZ" and c not in (" ", "\u200d")]
    assert hidden == []  # but for blanks between words and the joiner inside emoji


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        ("animal", "animal"), (" animal", "animal"), (" ", "␣"), ("   ", "␣␣␣"), ("", "∅"), ("\n", "↵"),
        ("\t\tx", "⇥⇥x"), ("\r", "␍"), ("\x00", "␀"), ("\x1b", "␛"), ("\u202e", "⟨U+202E⟩"), ("\u200b", "⟨U+200B⟩"),
        ("\u00a0x", "⟨U+00A0⟩x"), ("a b", "a b"), ("🦊[1/3]", "🦊[1/3]"),
    ],
)  # fmt: skip
def test_blanks_and_control_characters_are_drawn(piece, shown):
    assert visible(piece) == shown


def test_a_long_text_ends_in_an_ellipsis():
    assert shorten("supercalifragilistic", 7) == "superc…"
    assert shorten("seventh", 7) == "seventh"
    assert plotly_text("a<" * 20, 5) == "a&lt;a&lt;…"


def test_wide_characters_need_more_room_than_narrow_ones():
    assert label_room([], 12) == 0
    assert label_room(["漢字"], 12) > label_room(["ab"], 12) > 0
    assert label_room(["&lt;"], 12) == label_room(["a"], 12)
    assert label_room(["a", "abcdef"], 12) == label_room(["abcdef"], 12)
