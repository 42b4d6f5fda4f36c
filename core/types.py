"""The nouns that flow through Headlight: Tokens, Step, Trace and Run, and the legend of axis names.

Axis names, the only ones used in shapes, figures and sentences (query before key everywhere):

    seq            tokens of a text
    q_len          positions that look: the queries
    kv_len         positions that are looked at: keys and values, earlier (cached) tokens included
    n_heads        query heads
    n_kv_heads     key-value heads; query head i reads KV head i // (n_heads // n_kv_heads)
    qk_head_dim    width of one head's query and key
    v_head_dim     width of one head's value
    kv_lora_rank   width of MLA's latent; q_lora_rank: width of its queries' own latent, where there is one
    qk_nope_head_dim, qk_rope_head_dim: MLA's parts of a query or key without position and with it
    d_model        width of the residual stream
    n_layers       layers of the model
    vocab_size     entries of the vocabulary
    rows, cols     cells of a pooled map: blocks of queries down, blocks of keys across
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headlight.core.cache import Cache
from headlight.core.errors import InputError, UntracedLayerError
from headlight.core.positions.base import Position

__all__ = ["Projections", "Run", "Step", "Tokens", "Trace", "Tracer", "Traces"]


@dataclass(frozen=True)
class Tokens:
    """A text as the model reads it.

    text: the text that was tokenized (unpaired surrogates replaced by U+FFFD).
    ids: vocabulary indices, one a token.
    pieces: what a person sees of each token; special tokens by name ("[CLS]"), fragments of one character as "🦊[1/3]".
    spans: start and end of each token in `text`, in characters; special tokens have an empty span.
    special: whether a token was added by the tokenizer and stands for no text.
    """

    text: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    special: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def spaced(self) -> tuple[str, ...]:
        """The pieces, each with the blanks that stand before it in the text, so that the sentence reads as it was typed."""
        befores = (0, *(end for _, end in self.spans[:-1]))
        gaps = (self.text[before:start] for before, (start, _) in zip(befores, self.spans, strict=True))
        return tuple(gap + piece if gap.isspace() else piece for gap, piece in zip(gaps, self.pieces, strict=True))


@dataclass(frozen=True)
class Step:
    """One line of the derivation of attention: a name, its formula in LaTeX, the names of its axes, and its value.

    inputs: the names of the steps that it is made from, so that the derivation is a graph; about: what it is in plain words,
    for a step that only this variant has.
    """

    name: str
    formula: str
    axes: tuple[str, ...]
    value: Tensor
    inputs: tuple[str, ...] = ()
    about: str = ""

    @property
    def n_heads(self) -> int | None:
        """Heads (query or KV heads) that it has a matrix of its own for; None where all heads share one."""
        return self.value.shape[0] if self.axes[0] in ("n_heads", "n_kv_heads") else None

    def of_head(self, head: int) -> Float[Tensor, "rows columns"]:
        """One head's matrix, a row a token, or the one that all share; raises InputError for a head it does not have."""
        if self.n_heads is None:
            return self.value
        if not 0 <= head < self.n_heads:
            raise InputError(f"step {self.name!r} has heads 0 to {self.n_heads - 1}, not {head}")
        return self.value[head]


@dataclass(frozen=True)
class Projections:
    """What a layer's tokens become before they look at each other; queries and keys already carry their positions.

    q (n_heads, q_len, qk_head_dim), k (n_kv_heads, kv_len, qk_head_dim), v (n_kv_heads, kv_len, v_head_dim); `cache` is
    what a decoder would keep. `steps` are the variant's own lines of the derivation, up to q, k and v.
    """

    q: Float[Tensor, "n_heads q_len qk_head_dim"]
    k: Float[Tensor, "n_kv_heads kv_len qk_head_dim"]
    v: Float[Tensor, "n_kv_heads kv_len v_head_dim"]
    q_pos: Int[Tensor, " q_len"]
    k_pos: Int[Tensor, " kv_len"]
    position: Position
    cache: Cache
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Trace:
    """Everything one attention layer computed for one text.

    `scores` are scaled, carry a score bias where the encoding has one, and are not yet masked; `weights` are their
    masked softmax (0 to 1, each row sums to 1); `mask` is True where a query may look; `scale` is the factor on q·k.

    Models that `transformers` runs may do more (see `core.hub.captured_call`): `bias` is what was added to the scaled scores,
    `softcap` the c of c tanh(s / c), `sinks` a logit a head that takes its share of each row and shows nothing.
    """

    q: Float[Tensor, "n_heads q_len qk_head_dim"]
    k: Float[Tensor, "n_kv_heads kv_len qk_head_dim"]
    v: Float[Tensor, "n_kv_heads kv_len v_head_dim"]
    scores: Float[Tensor, "n_heads q_len kv_len"]
    weights: Float[Tensor, "n_heads q_len kv_len"]
    mask: Bool[Tensor, "q_len kv_len"]
    heads: Float[Tensor, "n_heads q_len v_head_dim"]
    out: Float[Tensor, "q_len d_model"]
    scale: float
    cache: Cache
    projections: tuple[Step, ...] = ()
    bias: Float[Tensor, "n_heads_or_1 q_len kv_len"] | None = None
    softcap: float | None = None
    sinks: Float[Tensor, " n_heads"] | None = None

    @property
    def n_heads(self) -> int:
        """Query heads."""
        return self.q.shape[0]

    @property
    def n_kv_heads(self) -> int:
        """Key-value heads."""
        return self.k.shape[0]

    def kv_head(self, head: int) -> int:
        """The KV head that query head `head` reads."""
        return head // (self.n_heads // self.n_kv_heads)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The derivation in order, from queries and keys to the output (Vaswani et al. 2017, eq. 1)."""
        keys = self.k.repeat_interleave(self.n_heads // self.n_kv_heads, dim=0)
        cells = ("n_heads", "q_len", "kv_len")
        masked = self.scores.masked_fill(~self.mask, float("-inf"))
        return (
            *self.projections,
            Step("products", r"q_t \cdot k_u", cells, self.q @ keys.transpose(-1, -2), ("q", "k")),
            Step("scores", self._score_formula(), cells, self.scores, ("products",)),
            Step("masked", r"s_{t,u} = -\infty \text{ where } t \text{ may not see } u", cells, masked, ("scores",)),
            Step("weights", self._weight_formula(), cells, self.weights, ("masked",)),
            Step(
                "heads", r"o_t = \sum_u p_{t,u}\, v_u", ("n_heads", "q_len", "v_head_dim"), self.heads, ("weights", "v")
            ),
            Step("out", r"W_O\,[o_{t,1}; \dots; o_{t,n}]", ("q_len", "d_model"), self.out, ("heads",)),
        )

    def _score_formula(self) -> str:
        score = r"q_t \cdot k_u / \sqrt{d}" + (r" + b_{t,u}" if self.bias is not None else "")
        return rf"s_{{t,u}} = {score}" if self.softcap is None else rf"s_{{t,u}} = c \tanh\left(({score}) / c\right)"

    def _weight_formula(self) -> str:
        sink = "" if self.sinks is None else r"e^{\text{sink}} + "
        return rf"p_{{t,u}} = e^{{s_{{t,u}}}} / \left({sink}\sum_w e^{{s_{{t,w}}}}\right)"

    def step(self, name: str) -> Step:
        """The step called `name`; raises InputError with the names there are."""
        found = {step.name: step for step in self.steps}
        if name not in found:
            raise InputError(f"no step {name!r}; there are {', '.join(found)}")
        return found[name]


@runtime_checkable
class Tracer(Protocol):
    """What makes a trace of kept queries, keys and values: an `Attention`, or a layer that `transformers` carries."""

    def trace(self, p: Projections, params: Mapping[str, Tensor]) -> Trace:
        """Every number of the layer."""
        ...

    def rows(self, p: Projections, queries: slice) -> Float[Tensor, "n_heads q_len kv_len"]:
        """The weights of some queries in every head."""
        ...


class Traces(Mapping[int, Trace]):
    """Layer index -> Trace. A trace is computed when it is asked for, and the last one is kept.

    The forward pass runs on fused attention and materialises no weights, so that a run over 30 layers holds 30 layers'
    queries, keys and values, and one layer's weights.
    """

    def __init__(self, layers: Mapping[int, tuple[Tracer, Mapping[str, Tensor], Projections]]) -> None:
        self._layers = dict(layers)
        self._last: tuple[int, Trace] | None = None

    def __getitem__(self, layer: int) -> Trace:
        if self._last is not None and self._last[0] == layer:
            return self._last[1]
        attention, params, _ = self._layer(layer)
        trace = attention.trace(self.projections(layer), params)
        self._last = (layer, trace)
        return trace

    def __iter__(self) -> Iterator[int]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def projections(self, layer: int) -> Projections:
        """Queries, keys and values of a layer, without computing its weights."""
        return self._layer(layer)[2]

    def rows(self, layer: int, queries: slice) -> Float[Tensor, "n_heads q_len kv_len"]:
        """The weights of some queries in every head of a layer, without the rest of the map."""
        attention, _, projections = self._layer(layer)
        return attention.rows(projections, queries)

    def _layer(self, layer: int) -> tuple[Tracer, Mapping[str, Tensor], Projections]:
        if layer not in self._layers:
            raise UntracedLayerError(f"layer {layer} was not traced; traced were {', '.join(map(str, self._layers))}")
        return self._layers[layer]


@dataclass(frozen=True)
class Run:
    """One text through one model.

    tokens: what went in. layers: layer index -> Trace for the layers asked for. hidden: the last layer's output after
    the final norm. head (vocab_size, d_model): the language-model head, None for an encoder.
    """

    model: str
    tokens: Tokens
    layers: Traces
    hidden: Float[Tensor, "seq d_model"]
    head: Float[Tensor, "vocab_size d_model"] | None = None

    @property
    def logits(self) -> Float[Tensor, "seq vocab_size"] | None:
        """One score a vocabulary entry and token, computed when asked for; None for an encoder."""
        return None if self.head is None else self.hidden @ self.head.T

    @property
    def nbytes(self) -> int:
        """Bytes held for the traced layers: queries, keys, values and the steps before them, what is shared counted once.

        Weights come on top, one layer at a time.
        """
        held = (self.layers.projections(layer) for layer in self.layers)
        tensors = (t for p in held for t in (p.q, p.k, p.v, *(step.value for step in p.steps)))
        storages = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in tensors)}
        return sum(storages.values())

    @property
    def trace_nbytes(self) -> int:
        """About what the one trace takes that is kept: two numbers a head and cell, and two of each head's outputs."""
        if not len(self.layers):
            return 0
        p = self.layers.projections(next(iter(self.layers)))
        n_heads, q_len, _ = p.q.shape
        cells, element = n_heads * q_len * p.k.shape[1], p.q.element_size()
        return 2 * cells * element + q_len * p.k.shape[1] + 2 * q_len * n_heads * p.v.shape[2] * element


def positions(start: int, length: int, device: torch.device) -> Int[Tensor, " seq"]:
    """Positions start, start + 1, … as integers, counted from 0."""
    return torch.arange(start, start + length, device=device)
