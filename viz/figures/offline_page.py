"""The picture as one HTML file that needs no network: the map, how to read it, and where it came from."""

from __future__ import annotations

import html
from string import Template

import plotly.graph_objects as go

from headlight.core.types import Run
from headlight.viz.text import visible

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>Headlight: layer $layer, head $head</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:$ink;background:$ground}
blockquote{margin:1rem 0;padding:.4rem 1rem;border-left:3px solid $faint;white-space:pre-wrap;overflow-wrap:anywhere}
</style></head><body>
<h1>What one head looks at</h1>
<blockquote dir="auto">$text</blockquote>
<p>$summary</p>
$figure
<p>Model: $model · layer $layer · head $head · $n_tokens tokens. Rows look, columns are looked at; each row sums to 1.
Drawn by Headlight from the model's own trained weights.</p>
</body></html>
""")


def offline_page(result: Run, layer: int, head: int, figure: go.Figure, summary: str, ink: str, ground: str) -> str:
    """`figure` (of `head_map`) as a self-contained page of about 5 MB, plotly.js included.

    summary: one sentence of plain text on what to see; ink, ground: text and background colours.
    """
    chart = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        default_height="80vh",
        config={"responsive": True},
    )
    return _PAGE.substitute(
        layer=layer,
        head=head,
        ink=ink,
        ground=ground,
        faint="#8886",
        text=html.escape("".join(c if c in "\n\t" else visible(c) if ord(c) < 32 else c for c in result.tokens.text)),
        summary=html.escape(summary),
        figure=chart,
        model=html.escape(result.model),
        n_tokens=len(result.tokens),
    )
