"""A figure's title with its legend below it, above the drawing, clear of the toolbar."""

from __future__ import annotations

from typing import Any

_ROWS = (34, 62, 84, 106)  # pixels above the drawing with so many rows of legend


def heading(title: str, legend_rows: int = 0) -> dict[str, Any]:
    """Parts of a layout: title, legend (none for 0 rows) and margins with room for both, and for axis titles."""
    return {
        "title": {"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "pad": {"l": 8}, "y": 0.985,
                  "yanchor": "top"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "showlegend": legend_rows > 0,
        "margin": {"l": 64, "r": 12, "t": _ROWS[legend_rows], "b": 52},
    }  # fmt: skip
