"""Colours with one meaning each, light and dark, safe for colour-blind eyes; imports Plotly's colour maths alone.

Roles are Okabe and Ito's palette (Color Universal Design, 2008); the ramp for weights is ColorBrewer's Blues in light
mode and its mirror on a dark ground; differences go from its purple to its orange (PuOr), which all colour-blind eyes part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache  # noqa: TID251
from typing import Any

import numpy as np
from plotly.colors import sample_colorscale, unlabel_rgb

FONT = "Source Sans Pro, Source Sans, system-ui, sans-serif"

# What our kinds of traces take from Plotly's own template, which is seven kilobytes for all kinds and would go out with every
# figure.
_AXIS = {"ticks": "", "title": {"standoff": 15}}
_COLOURS = (
    "#636efa",
    "#EF553B",
    "#00cc96",
    "#ab63fa",
    "#FFA15A",
    "#19d3f3",
    "#FF6692",
    "#B6E880",
    "#FF97FF",
    "#FECB52",
)
_BARE = {"colorbar": {"outlinewidth": 0, "ticks": ""}}
TEMPLATE: dict[str, Any] = {
    "layout": {
        "autotypenumbers": "strict",
        "colorway": _COLOURS,
        "hovermode": "closest",
        "title": {"x": 0.05},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "annotationdefaults": {"arrowhead": 0, "arrowwidth": 1},
    },
    "data": {
        "bar": [{"type": "bar", "marker": {"line": {"color": "#E5ECF6", "width": 0.5}}}],
        "heatmap": [{"type": "heatmap"} | _BARE],
        "contour": [{"type": "contour"} | _BARE],
    },
}


@dataclass(frozen=True)
class Theme:
    """name: 'light' or 'dark'; ink, ground, faint, muted: text, background, lines, quiet text; query … position: roles;
    ramp: weights from 0 to 1; diverging: differences, the middle colour is none.
    """

    name: str
    ink: str
    ground: str
    faint: str
    muted: str
    query: str
    key: str
    value: str
    latent: str
    position: str
    ramp: tuple[str, ...]
    diverging: tuple[str, ...]

    @property
    def colorscale(self) -> list[list[float | str]]:
        """The ramp as Plotly wants it."""
        return _even(self.ramp)

    @property
    def diverging_scale(self) -> list[list[float | str]]:
        """The diverging colours as Plotly wants them."""
        return _even(self.diverging)

    @cache  # noqa: B019  # two themes, for good
    def lut(self) -> np.ndarray:
        """The ramp as 256 colours, uint8 (256, 3)."""
        colours = sample_colorscale(self.colorscale, np.linspace(0, 1, 256).tolist())
        return np.array([unlabel_rgb(colour) for colour in colours]).round().astype(np.uint8)

    def layout(self, **more: Any) -> dict[str, Any]:
        """What every figure shares, with `more` for one figure; `more` wins, axes are merged."""
        axis = {"gridcolor": self.faint, "zeroline": False, "linecolor": self.faint, "automargin": True}
        shared = {
            "template": TEMPLATE,
            "font": {"family": FONT, "size": 13, "color": self.ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": self.muted, "activecolor": self.ink},
            "hoverlabel": {"font": {"family": FONT, "size": 13}, "align": "left"},
            "xaxis": {},
            "yaxis": {},
        }
        axes = {name: axis | more.get(name, {}) for name in (shared | more) if name[1:5] == "axis"}
        return shared | more | axes


def _even(colours: tuple[str, ...]) -> list[list[float | str]]:
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


LIGHT = Theme(
    name="light", ink="#1a1c22", ground="#ffffff", faint="#d9dde3", muted="#6b7280",
    query="#0072b2", key="#c2570c", value="#00855f", latent="#b05a8c", position="#8a6d00",
    ramp=("#ffffff", "#deebf7", "#9ecae1", "#4292c6", "#08519c", "#08306b"),
    diverging=("#2d004b", "#542788", "#8073ac", "#c9c6e0", "#ffffff", "#fdcf9b", "#e08214", "#b35806", "#7f3b08"),
)  # fmt: skip

DARK = Theme(
    name="dark", ink="#e8eaee", ground="#101318", faint="#333b47", muted="#98a2b0",
    query="#56b4e9", key="#ee8a4a", value="#3fc79f", latent="#dd94bd", position="#e0c04a",
    ramp=("#161b22", "#14324f", "#1b5c8f", "#3f93c9", "#93cbee", "#f2faff"),
    diverging=("#efe9ff", "#c2b2f2", "#8f7bd0", "#48407a", "#161b22", "#6d3f0c", "#c5711a", "#f5b05a", "#fff0da"),
)  # fmt: skip


def theme(name: str | None) -> Theme:
    """The theme called 'dark', else the light one."""
    return DARK if name == "dark" else LIGHT
