"""The answer to a deployment's question: what a model's cache takes, on each GPU, in an engine, with the formula."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from headlight.core.errors import ConfigError, InputError, UnknownNameError
from headlight.core.memory.bounds import MAX_BYTES, MAX_TOKENS, positive, whole
from headlight.core.memory.config.hf_config import ParsedConfig, read_config
from headlight.core.memory.config.wording import binary, decimal, formula
from headlight.core.memory.engines.per_gpu import Formats
from headlight.core.memory.engines.rules import Engine, Serving
from headlight.core.memory.engines.rules import engine as named
from headlight.core.memory.precision import Precision
from headlight.core.memory.precision import precision as precision_named
from headlight.core.memory.published import published
from headlight.core.memory.shape import CacheShape
from headlight.core.memory.sizes import bytes_at, bytes_per_token, growing_bytes_per_token, indexer_bytes_at


@dataclass(frozen=True)
class Gpu:
    """One GPU. memory: bytes; utilization: the part of it that an engine may use (vLLM: gpu_memory_utilization); weights:
    bytes of all weights, divided over tp and pp; activations: bytes that the engine keeps for them.
    """

    memory: int
    utilization: float = 0.9
    weights: int = 0
    activations: int = 0

    def __post_init__(self) -> None:
        whole("memory", self.memory, MAX_BYTES)
        positive("utilization", self.utilization, 1.0)
        for name in ("weights", "activations"):
            whole(name, getattr(self, name), MAX_BYTES, least=0)

    def room(self, tp: int, pp: int) -> int:
        """Bytes left for caches; 0 where there is no room.

        >>> Gpu(80 * 10**9, weights=140 * 10**9, activations=2 * 10**9).room(tp=4, pp=1)
        35000000000
        """
        return max(0, int(self.memory * self.utilization) - self.activations - -(-self.weights // (tp * pp)))


@dataclass(frozen=True)
class KVAnswer:
    """bytes: what the model needs for all sequences, as if on one GPU; indexer_bytes: what its indexers keep beside;
    bytes_per_gpu: what the engine reserves on the fullest GPU, indexers counted; bytes_per_token: before
    any window is full; growing_bytes_per_token: of that, what grows on; formula: how `bytes` comes about; rule, source: the
    engine's; room, tokens_that_fit, sequences_that_fit: on one GPU, None where no GPU is given (or any number fits).
    """

    model: str
    context: int
    sequences: int
    tp: int
    engine: str
    precision: str
    bytes: int
    bytes_per_gpu: int
    bytes_per_token: float
    growing_bytes_per_token: float
    indexer_bytes: int
    formula: str
    rule: str
    source: str
    notes: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()
    room: int | None = None
    tokens_that_fit: int | None = None
    sequences_that_fit: int | None = None
    shape: CacheShape | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the shape, as JSON can hold it."""
        return {name: value for name, value in asdict(self).items() if name != "shape"}

    def text(self) -> str:
        """The answer in a few lines."""
        lines = [
            f"{self.model}: {decimal(self.bytes)} ({binary(self.bytes)}) for {self.sequences:,} × {self.context:,} tokens",
            f"  {self.formula} = {self.bytes:,} B",
            f"  a token: {decimal(self.bytes_per_token)}, of which {decimal(self.growing_bytes_per_token)} grow on",
        ]
        if self.indexer_bytes:
            lines.append(f"  its indexers keep {decimal(self.indexer_bytes)} beside")
        size = f"{decimal(self.bytes_per_gpu)} ({binary(self.bytes_per_gpu)})"
        lines.append(f"{self.rule}, on each GPU (tp {self.tp}): {size}  [{self.source}]")
        if self.room is not None:
            fit = [_count(self.tokens_that_fit, "tokens a sequence"), _count(self.sequences_that_fit, "sequences")]
            lines.append(f"  room {decimal(self.room)}: fits {fit[0]}, or {fit[1]} of {self.context:,} tokens")
        lines += [f"note: {note}" for note in self.notes]
        unread = ", ".join(self.not_understood)
        return "\n".join(lines + ([f"not understood, and it might matter: {unread}"] if unread else []))


def _count(value: int | None, what: str) -> str:
    return f"any number of {what}" if value is None else f"{value:,} {what}"


def kv_cache(
    model: str | Path | Mapping[str, Any],
    *,
    context: int | None = None,
    sequences: int = 1,
    tp: int = 1,
    pp: int = 1,
    cp: int = 1,
    engine: str = "none",
    precision: str | None = None,
    v_precision: str | None = None,
    window_precision: str | None = None,
    prefix: int = 0,
    gpu: Gpu | None = None,
) -> KVAnswer:
    """What the KV cache of a model takes, in bytes.

    model: a config.json (its path, its text or its fields), or a name of the catalogue ("llama-3-1-70b"). context: tokens of
    each of `sequences`, the model's longest if None. tp, pp, cp: GPUs that share the heads, the layers, the tokens. engine:
    "none" (what the model needs), "pages", "vllm", "sglang", "llama.cpp". precision: a name of `PRECISIONS`, what the file asks
    for if None; v_precision: of values alone; window_precision: of layers with a window. prefix: tokens that all share.
    Raises InputError, ConfigError, UnknownNameError or UnsupportedModelError, each in a sentence that names what is wrong.

    >>> answer = kv_cache({"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096},
    ...                   context=131_072, tp=4)
    >>> answer.bytes, answer.bytes_per_gpu, answer.formula
    (17179869184, 4294967296, '32 × 8 × (128 + 128) × 131,072 × 2 B')
    """
    reading = _read(model)
    shape, rule = reading.shape, named(engine)
    serving = Serving(_context(shape, context), sequences, tp, pp, cp, prefix=prefix)
    kind = _precision(precision or shape.native)
    values, windows = (None if name is None else _precision(name) for name in (v_precision, window_precision))
    formats = Formats(kind, values, windows, rule.deepseek)
    room = None if gpu is None else gpu.room(tp, pp)
    return KVAnswer(
        shape.name, serving.context, sequences, tp, rule.name, kind.title,
        bytes_at(shape, serving.context, kind, sequences), rule.bytes_on_gpu(shape, serving, formats),
        bytes_per_token(shape, kind), growing_bytes_per_token(shape, kind),
        indexer_bytes_at(shape, serving.context, kind, sequences), formula(shape, kind, serving.context, sequences),
        rule.title, rule.source, reading.notes, reading.unread, room,
        None if room is None else _most(lambda n: _bytes(rule, shape, serving, formats, context=n), room, MAX_TOKENS),
        None if room is None else _most(lambda n: _bytes(rule, shape, serving, formats, sequences=n), room, 10**6),
        shape,
    )  # fmt: skip


def _bytes(
    rule: Engine,
    shape: CacheShape,
    serving: Serving,
    formats: Formats,
    context: int | None = None,
    sequences: int | None = None,
) -> int:
    """The engine's bytes with another context or another number of sequences."""
    tokens, many = context or serving.context, sequences or serving.sequences
    asked = replace(serving, context=tokens, sequences=many, prefix=min(serving.prefix, tokens))
    return rule.bytes_on_gpu(shape, asked, formats)


def _most(size: Callable[[int], int], room: int, limit: int) -> int | None:
    """The largest number up to `limit` whose size fits; None where all do."""
    fits = bisect_right(range(1, limit + 1), room, key=size)
    return None if fits == limit else fits


def _precision(name: str) -> Precision:
    return precision_named(
        {"e4m3": "fp8", "e5m2": "fp8", "fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "f16": "fp16"}.get(name, name)
    )


def _context(shape: CacheShape, context: int | None) -> int:
    if context is None and shape.max_context is None:
        raise ConfigError("the model does not say how long its context is; give one")
    return whole("context", shape.max_context if context is None else context, MAX_TOKENS)


def _read(model: str | Path | Mapping[str, Any]) -> ParsedConfig:
    """A mapping, the text of a config.json, its path (or its folder's), or a name of the catalogue."""
    if isinstance(model, Mapping):
        return read_config(json.dumps(dict(model)))
    text = str(model)
    if text.lstrip().startswith("{"):
        return read_config(text)
    path = Path(text)
    path = path / "config.json" if path.is_dir() else path
    if path.is_file():
        name = path.parent.name if path.name == "config.json" else path.stem
        return read_config(path.read_bytes(), name or "Your model")
    models = published()
    if text not in models:
        near = [slug for slug in models if text.lower() in slug][:5] or list(models)[:5]
        if "/" in text or text.endswith(".json"):
            raise InputError(f"there is no file {text[:80]!r}, and a model of that name is not in the catalogue")
        raise UnknownNameError(
            f"no file and no model of the catalogue is called {text[:80]!r}; there are {', '.join(near)}, …"
        )
    row = models[text]
    notes = () if row.verified else ("This record of the catalogue is not verified.",)
    return ParsedConfig(row.shape, notes, ())
