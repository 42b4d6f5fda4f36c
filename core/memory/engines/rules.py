"""How many tokens' rows engines reserve for a layer, each rule as published: version and source beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from headlight.core.errors import lookup
from headlight.core.memory.bounds import MAX_BATCH, MAX_TOKENS, whole
from headlight.core.memory.engines.per_gpu import Formats, stage
from headlight.core.memory.shape import CacheShape, LayerGroup


@dataclass(frozen=True)
class Serving:
    """How a model is served. context: tokens of each of `sequences`; tp, pp, cp: GPUs that share heads, layers, tokens of a
    sequence; batched: tokens that vLLM may schedule at once (max_num_batched_tokens); ubatch: of llama.cpp; block: tokens to a
    page; swa_ratio: SGLang's pool of windowed layers beside that of the others (swa_full_tokens_ratio); prefix: tokens at the
    start that all sequences share, kept once.
    """

    context: int
    sequences: int = 1
    tp: int = 1
    pp: int = 1
    cp: int = 1
    batched: int = 8192
    ubatch: int = 512
    block: int = 16
    swa_ratio: Fraction = Fraction(4, 5)
    prefix: int = 0

    def __post_init__(self) -> None:
        whole("context", self.context, MAX_TOKENS)
        whole("sequences", self.sequences, MAX_BATCH)
        whole("prefix", self.prefix, self.context, least=0)
        for name in ("tp", "pp", "cp", "batched", "ubatch", "block"):
            whole(name, getattr(self, name), MAX_TOKENS)


Rows = Callable[[LayerGroup, Serving], Fraction]


def needed(group: LayerGroup, serving: Serving) -> Fraction:
    """What the model needs: full windows and no more; a shared prefix once."""
    shared = group.rows(serving.prefix) if group.grows else 0
    return Fraction((group.rows(serving.context) - shared) * serving.sequences + shared)


def in_pages(group: LayerGroup, serving: Serving) -> Fraction:
    """What fits in whole pages, windows counted."""
    pages = replace(serving, context=_up(serving.context, serving.block))
    window = group if group.window is None else replace(group, window=_up(group.window, serving.block))
    return needed(window, pages)


def vllm(group: LayerGroup, serving: Serving) -> Fraction:
    """vLLM 0.21: a sequence's pages at most, as its scheduler admits it.

    Full attention: cdiv(max_model_len, block) pages. A window: cdiv(min(window - 1 + max_num_batched_tokens, max_model_len),
    block) + 1. A chunk: cdiv(min(chunk + max_num_batched_tokens, max_model_len), block). vllm/v1/kv_cache_interface.py,
    FullAttentionSpec, SlidingWindowSpec and ChunkedLocalAttentionSpec.max_memory_usage_bytes.
    """
    if group.row is None:
        return Fraction(0)
    if group.window is None:
        return in_pages(group, serving)
    ahead = group.window + serving.batched - (0 if group.chunked else 1)
    pages = math.ceil(Fraction(min(ahead, serving.context), serving.block)) + (0 if group.chunked else 1)
    return Fraction(pages * serving.block * serving.sequences, group.every)


def sglang(group: LayerGroup, serving: Serving) -> Fraction:
    """SGLang 0.5: a slot a token, and for layers with a window a pool of its own, swa_full_tokens_ratio (0.8) times as large.

    python/sglang/srt/model_executor/model_runner.py, set_num_token_hybrid; server_args.py, swa_full_tokens_ratio.
    """
    if group.row is None:
        return Fraction(0)
    if group.window is None:
        return needed(group, serving)
    return Fraction(serving.context * serving.sequences, group.every) * serving.swa_ratio


def llama_cpp(group: LayerGroup, serving: Serving) -> Fraction:
    """llama.cpp (2026): cells for every token of the context, in steps of 256; for layers with a window, those of the window
    and of one batch: GGML_PAD(min(size_base, n_swa + n_ubatch), 256) for each sequence.

    src/llama-kv-cache-iswa.cpp, the constructor of llama_kv_cache_iswa (streams of their own: unified off).
    """
    if group.row is None:
        return Fraction(0)
    cells = _up(serving.context, 256)
    if group.window is not None:
        cells = _up(min(cells, group.window + serving.ubatch), 256)
    return Fraction(cells * serving.sequences, group.every)


def one_table(shape: CacheShape, serving: Serving, formats: Formats) -> Fraction:
    """vLLM up to 0.20 for models that mix kinds of layers: every layer has pages for every token, all as large as the largest.

    vllm/v1/core/kv_cache_utils.py, unify_hybrid_kv_cache_specs and unify_kv_cache_spec_page_size. Bytes on one GPU.
    """
    keeping = [group for group in shape.groups if group.row is not None]
    largest = max((formats.row_bytes(group, serving.tp) for group in keeping), default=Fraction(0))
    layers = sum(group.count for group in keeping)
    return layers * largest * _up(serving.context, serving.block) * serving.sequences


@dataclass(frozen=True)
class Engine:
    """name: on the command line; title: with the version that the rule was read in; rows: the rule; source: where it stands."""

    name: str
    title: str
    rows: Rows
    source: str
    deepseek: bool = False

    def bytes_on_gpu(self, shape: CacheShape, serving: Serving, formats: Formats) -> int:
        """Bytes of the fullest GPU for the caches of all sequences, indexers' keys counted."""
        total = sum(
            (group.count * self.rows(group, serving) * formats.row_bytes(group, serving.tp) for group in shape.groups),
            Fraction(0),
        )
        plain = LayerGroup(1, next((group.row for group in shape.groups if group.row is not None), None))
        index = shape.indexed * self.rows(plain, serving) * formats.index_bytes(shape)
        return math.ceil((total + index) * stage(shape, serving.pp) / serving.cp)


ENGINES: Mapping[str, Engine] = {
    "none": Engine("none", "what the model needs", needed, "the model's own configuration"),
    "pages": Engine("pages", "what fits in pages", in_pages, "pages of 16 tokens, windows counted"),
    "vllm": Engine("vllm", "vLLM 0.21", vllm, "vllm/v1/kv_cache_interface.py, max_memory_usage_bytes", deepseek=True),
    "sglang": Engine("sglang", "SGLang 0.5", sglang, "sglang/srt/model_executor/model_runner.py", deepseek=True),
    "llama.cpp": Engine("llama.cpp", "llama.cpp (2026)", llama_cpp, "llama.cpp/src/llama-kv-cache-iswa.cpp"),
}


def engine(name: str) -> Engine:
    """The engine called `name`; raises UnknownNameError with the names there are."""
    found: Engine = lookup(ENGINES, name, "engine")
    return found


def _up(tokens: int, step: int) -> int:
    return -(-tokens // step) * step
