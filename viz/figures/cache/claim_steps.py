"""From one model's cache to another's, step by step: what is left as bars, what each step took away as their ghosts."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from headlight.core.memory.claim import Step
from headlight.core.memory.config.wording import decimal
from headlight.viz.figures.heading import heading
from headlight.viz.theme import LIGHT, Theme


def claim_steps(steps: Sequence[Step], *, theme: Theme = LIGHT) -> go.Figure:
    """Bytes a token after each step (KB is 1000 bytes); behind each bar, faintly, what was there before it."""
    names = [step.title for step in steps]
    last = [steps[0].bytes, *(step.bytes for step in steps[:-1])]
    said = [decimal(step.bytes) + ("" if number == 0 else f" · × {step.by:.3f}") for number, step in enumerate(steps)]
    roles = [theme.key, theme.key, theme.latent, theme.latent]
    rows = list(range(len(steps)))
    kept = go.Bar(
        y=rows, x=[step.bytes for step in steps], orientation="h", name="kept per token", customdata=names,
        marker={"color": roles[: len(steps)]}, hovertemplate="%{customdata}: %{x:,.0f} B<extra></extra>",
    )  # fmt: skip
    taken = go.Bar(
        y=rows, x=[max(0.0, was - step.bytes) for was, step in zip(last, steps, strict=True)], orientation="h",
        name="taken away", marker={"color": theme.faint}, hovertemplate="%{x:,.0f} B less<extra></extra>",
    )  # fmt: skip
    layout = theme.layout(
        barmode="stack", bargap=0.55, height=96 + 72 * len(steps),
        **heading("Kept per token") | {"margin": {"l": 8, "r": 16, "t": 34, "b": 52}},
        xaxis={"title": "bytes per token, all layers", "exponentformat": "SI", "rangemode": "tozero", "automargin": False},
        yaxis={"tickvals": rows, "ticktext": names, "autorange": "reversed", "showgrid": False},
        annotations=[_said(row, text, theme) for row, text in zip(rows, said, strict=True)],
    )  # fmt: skip
    return go.Figure([kept, taken], layout)


def _said(row: int, text: str, theme: Theme) -> dict[str, object]:
    return {
        "x": 0, "y": row, "yshift": 27, "xanchor": "left", "yanchor": "middle", "text": text, "showarrow": False,
        "font": {"size": 12, "color": theme.ink},
    }  # fmt: skip
