"""Text from elsewhere made safe and visible for Plotly and Markdown, at this one place; otherwise it goes out as plain text.

Plotly reads a small HTML (<b>, <a href>) and TeX between dollar signs in every label. Markdown gets no visitor's text,
only names and messages that may come from a checkpoint's files.
"""

from __future__ import annotations

import html
import re
import unicodedata

_CONTROL_PICTURES = {"\n": "↵", "\r": "␍", "\t": "⇥", " ": "␣"}
_PLOTLY = {"$": "&#36;"}


def visible(piece: str) -> str:
    """A piece with its control and formatting characters shown as pictures; a blank piece as ␣."""
    if piece and not piece.strip(" "):
        return "␣" * len(piece)
    return "".join(_picture(c) for c in piece.strip(" ")) or "∅"


def _picture(c: str) -> str:
    if c in _CONTROL_PICTURES and c != " ":
        return _CONTROL_PICTURES[c]
    if ord(c) < 0x20:
        return chr(0x2400 + ord(c))
    hidden = unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp", "Zs") and c not in (" ", "\u200d")
    return f"⟨U+{ord(c):04X}⟩" if hidden else c


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis if some are left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def plotly_text(piece: str, limit: int = 24) -> str:
    """A piece as a Plotly label: visible, short, and never markup."""
    escaped = html.escape(shorten(visible(piece), limit), quote=False)
    return "".join(_PLOTLY.get(c, c) for c in escaped)


def markdown_text(text: str) -> str:
    """Any text as Markdown that reads just so: every ASCII sign escaped (CommonMark 0.31, section 2.4)."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def labels(pieces: tuple[str, ...], limit: int = 24) -> list[str]:
    """All pieces as Plotly labels."""
    return [plotly_text(piece, limit) for piece in pieces]


def shorten_label(label: str, limit: int = 14) -> str:
    """A label of `labels` for the side of a map: its text cut to `limit` characters, escaped again."""
    return html.escape(shorten(html.unescape(label), limit), quote=False).replace("$", _PLOTLY["$"])


def label_room(names: list[str], size: int) -> int:
    """Estimated width in pixels of the widest label at a font size; wide (East Asian) characters count double."""
    plain = (html.unescape(name) for name in names)
    return round(
        size * max((sum(1.1 if unicodedata.east_asian_width(c) in "WF" else 0.58 for c in n) for n in plain), default=0)
    )
