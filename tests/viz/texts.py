"""Texts that try to be more than text: markup, TeX, templates, scripts, and signs that turn or hide others."""

HOSTILE = (
    "<b>bold</b> <i>x</i>",
    "<a href='https://evil.example'>click</a>",
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "$\\alpha$ costs $x$ dollars",
    "%{z} %{x} %{customdata} %{y:.3f}",
    "&lt;b&gt; &amp; &#36; &nbsp;",
    "\u202eright-to-left\u202c שלום مرحبا",
    "🦊 👩‍👩‍👧 \u200b\u2066 \x00\x1b[31m",
    "line\nbreak\ttab\r\n<br>",
    "'quotes\" and `ticks` {brace} ${template}",
)
