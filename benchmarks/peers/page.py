"""One peer's page for one text, made in the peers' own environment: prints the seconds that it took, as JSON.

    python -m benchmarks.peers.page NAME MODEL LAYER TEXT_FILE OUT_FILE

The clock runs from the text to the written page: our forward pass with that layer's exact weights, and the peer's HTML.
Imports and loading of weights are not counted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headlight import load_model, run

Page = Callable[[Any, list[str]], str]


def bertviz(weights: Any, tokens: list[str]) -> str:
    """BertViz's head view of one layer."""
    from bertviz import head_view

    return str(head_view(attention=[weights[None]], tokens=tokens, html_action="return").data)


def circuitsvis(weights: Any, tokens: list[str]) -> str:
    """CircuitsVis' attention heads of one layer, with its script inside."""
    from circuitsvis.attention import attention_heads

    return str(attention_heads(tokens=tokens, attention=weights).local_src)


def inspectus(weights: Any, tokens: list[str]) -> str:
    """Inspectus' attention matrix of one layer, its script included."""
    import IPython.display as display

    parts: list[str] = []
    shown = display.display
    display.display = lambda item: parts.append(item.data)
    try:
        from inspectus import attention

        attention(weights[None].numpy(), tokens)
    finally:
        display.display = shown
    return "\n".join(parts)


PEERS: dict[str, Page] = {"BertViz": bertviz, "CircuitsVis": circuitsvis, "Inspectus": inspectus}


def main() -> None:
    """Makes the page."""
    name, model_name, layer, text_file, out = sys.argv[1:]
    model, text = load_model(model_name, "cpu"), Path(text_file).read_text("utf-8")
    run(model, "warm up", layers=[int(layer)]).layers[int(layer)]
    PEERS[name](run(model, "warm up").layers[int(layer)].weights, list(run(model, "warm up").tokens.pieces))
    start = time.perf_counter()
    result = run(model, text, layers=[int(layer)])
    html = PEERS[name](result.layers[int(layer)].weights, list(result.tokens.pieces))
    Path(out).write_text(f"<!doctype html><meta charset='utf-8'><body>{html}</body>", "utf-8")
    print(json.dumps({"seconds": time.perf_counter() - start, "tokens": len(result.tokens)}))


if __name__ == "__main__":
    main()
