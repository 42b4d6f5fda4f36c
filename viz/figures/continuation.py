"""A text that is being continued: where each new token's reader looked, what could come next, what is remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from headlight.core.decoding import Next
from headlight.viz.text import label_room, plotly_text, shorten_label
from headlight.viz.theme import LIGHT, Theme

_ALONG, _DOWN = 24, 64  # more labels do not fit, along the map and down its side


def continuation_map(
    steps: Sequence[Next], pieces: Sequence[str], layer: int, head: int, *, theme: Theme = LIGHT
) -> go.Figure:
    """One row a step: the weights (0-1) of the token read last, in one head, when the next token was chosen.

    steps: watched ones, from `headlight.core.decoding.Continuation`; pieces: all tokens, the prompt's and the new ones'. Tokens
    that were not there yet are blank.
    """
    rows = [step.weights[layer][head].float().cpu().numpy() for step in steps]
    widest = len(rows[-1]) if rows else 1
    weights = np.full((len(rows), widest), np.nan, np.float32)
    for i, row in enumerate(rows):
        weights[i, : len(row)] = row
    names = [plotly_text(piece) for piece in pieces]
    readers = [f"{i + 1} · {names[len(row) - 1]}" for i, row in enumerate(rows)]
    heat = go.Heatmap(
        z=weights, zmin=0, zmax=1, colorscale=theme.colorscale, hoverongaps=False, xgap=1, ygap=1,
        customdata=np.tile(np.array(names[:widest], dtype=object), (len(rows), 1)),
        text=np.tile(np.array(readers, dtype=object)[:, None], (1, widest)),
        hovertemplate="%{text} looks at %{customdata}: %{z:.3f}<extra></extra>",
        colorbar={"title": {"text": "weight", "side": "right"}, "thickness": 10, "outlinewidth": 0},
    )  # fmt: skip
    return go.Figure(heat, _map_layout(names[:widest], readers, layer, head, theme))


def _map_layout(names: list[str], readers: list[str], layer: int, head: int, theme: Theme) -> dict[str, object]:
    along, down = _ticks(names, _ALONG), _ticks(readers, _DOWN)
    room_x, room_y = label_room(along["ticktext"] or [""], 11), label_room(down["ticktext"] or [""], 11)
    plain = {"showgrid": False, "ticks": "", "automargin": False, "tickfont": {"size": 11}}
    return theme.layout(
        xaxis=plain | along | {"tickangle": -60, "range": [-0.5, len(names) - 0.5],
                               "title": {"text": "key, looked at", "font": {"color": theme.key}}},
        yaxis=plain | down | {"range": [max(len(readers), 1) - 0.5, -0.5],
                              "title": {"text": "read last", "font": {"color": theme.query}}},
        title={"text": f"Layer {layer} · head {head}", "x": 0, "font": {"size": 15}},
        margin={"t": 40, "l": room_y + 34, "b": room_x + 34, "r": 8},
        height=110 + room_x + max(22 * len(readers), 90),
    )  # fmt: skip


def _ticks(names: list[str], most: int) -> dict[str, list]:  # type: ignore[type-arg]
    each = -(-len(names) // most) or 1
    return {"tickvals": list(range(0, len(names), each)), "ticktext": [shorten_label(n, 18) for n in names[::each]]}


def candidate_bars(step: Next, *, theme: Theme = LIGHT) -> go.Figure:
    """The likeliest next tokens and their probabilities (0-1), the chosen one in its colour."""
    names = [plotly_text(text, 18) for text, _ in step.candidates]
    chosen = [text == step.text for text, _ in step.candidates]
    bars = go.Bar(
        x=[p for _, p in step.candidates], y=list(range(len(names))), orientation="h", customdata=names,
        marker={"color": [theme.query if c else theme.muted for c in chosen], "line": {"width": 0}},
        hovertemplate="%{customdata}: %{x:.4f}<extra></extra>",
        text=[f"{p:.3f}" for _, p in step.candidates], textposition="outside", cliponaxis=False,
    )  # fmt: skip
    y = {
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "autorange": "reversed",
        "showgrid": False,
        "automargin": False,
    }
    layout = theme.layout(
        xaxis={"title": "probability", "range": [0, 1.12], "automargin": False}, yaxis=y, height=64 + 27 * len(names),
        margin={"t": 8, "l": label_room(names, 13) + 12, "r": 8, "b": 44}, showlegend=False,
    )  # fmt: skip
    return go.Figure(bars, layout)


def cache_growth(
    held: Sequence[int], start: int, others: Mapping[str, int], *, room: int, theme: Theme = LIGHT
) -> go.Figure:
    """Bytes remembered against tokens read: points for what the caches really hold, lines for what variants would.

    held: bytes after each step; start: tokens read at the first; others: name -> bytes per token; room: tokens on the axis.
    """
    tokens = np.arange(start, start + len(held))
    lines = [
        go.Scatter(
            x=[0, room], y=[0, room * a_token], mode="lines", name=f"{name}, {a_token:,} B per token",
            line={"width": 1.5, "dash": dash, "color": theme.muted}, hovertemplate="%{x} tokens: %{y:,} B<extra></extra>",
        )
        for (name, a_token), dash in zip(others.items(), ("dot", "dash", "dashdot", "longdash") * 2, strict=False)
    ]  # fmt: skip
    points = go.Scatter(
        x=tokens, y=list(held), mode="markers", name="held now", marker={"color": theme.latent, "size": 7},
        hovertemplate="%{x} tokens: %{y:,} B<extra></extra>",
    )  # fmt: skip
    layout = theme.layout(
        xaxis={"title": "tokens read", "range": [0, room]}, yaxis={"title": "bytes in all layers", "rangemode": "tozero"},
        height=330, margin={"t": 8, "l": 64, "r": 8, "b": 44}, legend={"x": 0.01, "y": 0.99, "font": {"size": 11}},
    )  # fmt: skip
    return go.Figure([*lines, points], layout)
