"""What each step of a layer is, in plain words and symbols; one place for the diagram, the menu and the table."""

from __future__ import annotations

from collections.abc import Mapping

from headlight.core.types import Step

# Step -> its symbol in plain text, and what it is.
ABOUT: Mapping[str, tuple[str, str]] = {
    "h": ("h", "what enters the layer: one vector per token, after the block's norm"),
    "c_q": ("c^Q", "the queries' own latent: small, made new for each token, never kept"),
    "q_nope": ("q^C", "the part of each head's query that knows no position"),
    "q_rope": ("q^R", "the part of each head's query that carries position"),
    "q": ("q", "each head's query: what a token looks for"),
    "c_kv": ("c^KV", "the latent: one small vector per token, from which keys and values of all heads are made"),
    "k_rope": ("k^R", "the one key with position, made from $h$ and shared by all heads"),
    "k_nope": ("k^C", "each head's key without position, made from the latent alone"),
    "k": ("k", "each head's key: what a token offers to be found by"),
    "v": ("v", "each head's value: what a token hands over; it never carries position"),
    "products": ("q·k", "query times key, added up over the dimensions"),
    "scores": ("s", "query times key, scaled: how well they fit"),
    "masked": ("s, masked", "scores without the tokens that come later"),
    "weights": ("p", "scores after the softmax: each row is 0 to 1 and sums to 1"),
    "heads": ("o", "each head's output: values, mixed by the weights"),
    "out": ("out", "all heads' outputs side by side, through $W_O$: what the layer adds to the token"),
    "q_latent": ("q̃", "the query brought into latent space: $W^{UK}$ moved from the keys to the query"),
    "z": ("z", "latents, mixed by the weights: what each head reads before $W^{UV}$"),
}


def symbol(name: str) -> str:
    """A step's symbol in plain text; one that is not in the table has its name."""
    return ABOUT[name][0] if name in ABOUT else name


def about(step: Step) -> str:
    """What a step is: as the table says, else as its variant does, else nothing."""
    return ABOUT[step.name][1] if step.name in ABOUT else step.about


def menu_name(step: Step) -> str:
    """A step in a menu: its symbol and its shape."""
    return f"{symbol(step.name)}   {'×'.join(map(str, step.value.shape))}"


def lines(steps: tuple[Step, ...], kept: Mapping[str, object]) -> tuple[str, str]:
    """All steps as two Markdown lists: formula, what it is, shape, whether a decoder keeps it."""
    told = [
        f"- ${step.formula}$ · {about(step) or step.name} · {' × '.join(map(str, step.value.shape))}"
        + (" · **kept by a decoder**" if step.name in kept else "")
        for step in steps
    ]
    half = (len(told) + 1) // 2
    return "\n".join(told[:half]), "\n".join(told[half:])
