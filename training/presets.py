"""Sizes and budgets, one row a preset, and the siblings: every attention variant with every position encoding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from headlight.core.checkpoints.folder import Config
from headlight.core.checkpoints.sibling import encodings, variants
from headlight.core.errors import TrainingError, UnknownNameError, lookup
from training.text.corpus import KINDS

SPREAD = "mha-rope"  # the sibling that is also trained from other seeds, to know how far chance carries a loss
SEEDS = (0, 1, 2)
# Fields that came after the first cards were written, and what they stand at: left out of fingerprints, so that those hold.
_ADDED = {"schedule": "cosine", "decay": 0, "embedding_multiplier": None, "embedding_mean": 0.0, "mix": ()}


@dataclass(frozen=True)
class Preset:
    """What all siblings share.

    Sizes as in `core`; context: tokens a row; batch: rows a step; steps, warmup: optimiser steps; peak: the highest
    learning rate; checkpoint: steps between two checkpoints; valid: rows of the validation text at most.

    schedule: of the learning rate, one of `loop.SCHEDULES`; decay: the last steps of "wsd", in which the rate falls.
    embedding_multiplier: of what enters the first layer (None: sqrt(d_model)); embedding_mean: see `model.initial`.
    mix: how often an epoch reads each kind of text (`corpus.KINDS`), empty for once.
    """

    name: str
    d_model: int
    n_layers: int
    n_heads: int
    head_dim: int
    n_kv_heads: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    d_ff: int
    vocab_size: int
    context: int
    batch: int
    steps: int
    warmup: int
    peak: float
    checkpoint: int
    valid: int = 1024
    eps: float = 1e-5
    q_lora_rank: int = 0
    schedule: str = "cosine"
    decay: int = 0
    embedding_multiplier: float | None = None
    embedding_mean: float = 0.0
    mix: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.decay < self.steps:
            raise TrainingError(f"decay ({self.decay:,}) must be 0 or more, and fewer than all {self.steps:,} steps")
        if self.mix and (len(self.mix) != len(KINDS) or min(self.mix) < 0 or not any(self.mix)):
            raise TrainingError(f"mix is a number for each of {', '.join(KINDS)}, none negative; not {self.mix}")

    @property
    def facts(self) -> dict[str, Any]:
        """All fields that losses depend on, for fingerprints: those in _ADDED only where they are set."""
        told = asdict(self)
        for name in ("name", "checkpoint", "valid"):
            del told[name]
        if self.schedule == "constant":
            del told["steps"]  # they do not change what any step computes
        return {name: value for name, value in told.items() if name not in _ADDED or value != _ADDED[name]}

    @property
    def constant(self) -> Preset:
        """The constant phase of "wsd" alone, up to where its decay begins; the same for all budgets."""
        return replace(self, steps=self.steps - self.decay, decay=0, schedule="constant")

    def at(self, tokens: int) -> Preset:
        """The same recipe on `tokens` tokens by "wsd", a fifth of the steps in the decay (Hägele et al. 2024, figure 4)."""
        steps = -(-tokens // (self.batch * self.context))
        name = f"{self.name}-{tokens / 1e6:g}M"
        return replace(self, name=name, steps=steps, decay=steps // 5, schedule="wsd", warmup=min(self.warmup, steps))

    @property
    def tokens(self) -> int:
        """Tokens that one sibling learns to predict, repetitions counted."""
        return self.steps * self.batch * self.context


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "tiny", d_model=16, n_layers=2, n_heads=4, head_dim=6, n_kv_heads=2,
            kv_lora_rank=10, qk_nope_head_dim=6, qk_rope_head_dim=4, v_head_dim=6, d_ff=24,
            vocab_size=300, context=128, batch=4, steps=12, warmup=3, peak=1e-2, checkpoint=5, valid=8,
        ),
        Preset(
            "small", d_model=192, n_layers=4, n_heads=6, head_dim=32, n_kv_heads=2,
            kv_lora_rank=128, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, d_ff=512,
            vocab_size=4096, context=256, batch=8, steps=2600, warmup=150, peak=4e-3, checkpoint=200,
        ),
        Preset(  # small's models on two and a half times its budget
            "longer", d_model=192, n_layers=4, n_heads=6, head_dim=32, n_kv_heads=2,
            kv_lora_rank=128, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, d_ff=512,
            vocab_size=4096, context=256, batch=8, steps=6500, warmup=150, peak=4e-3, checkpoint=200,
        ),
        Preset(  # small's models again; `--tokens` names a smaller budget of the same constant phase
            "family", d_model=192, n_layers=4, n_heads=6, head_dim=32, n_kv_heads=2,
            kv_lora_rank=128, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, d_ff=512,
            vocab_size=4096, context=256, batch=8, steps=24415, warmup=150, peak=4e-3, checkpoint=200,
            schedule="wsd", decay=4883,
        ),
        Preset(
            "base", d_model=256, n_layers=6, n_heads=8, head_dim=32, n_kv_heads=2,
            kv_lora_rank=128, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, d_ff=704,
            vocab_size=4096, context=256, batch=64, steps=6000, warmup=300, peak=2e-3, checkpoint=500,
        ),
    )
}  # fmt: skip


def budget(name: str, tokens: int | None) -> Preset:
    """The preset of a name, or its recipe on that many tokens; raises UnknownNameError and TrainingError."""
    preset = lookup(PRESETS, name, "preset")
    if tokens is not None and tokens < 1:
        raise TrainingError(f"--tokens ({tokens}) must be 1 or more")
    return preset.at(tokens) if tokens else preset


@dataclass(frozen=True)
class Sibling:
    """One model to train; seed: of its first weights and the order of its rows; corpus: sha256 of what it reads."""

    preset: Preset
    variant: str
    encoding: str
    corpus: str
    seed: int = 0

    def __post_init__(self) -> None:
        tables: tuple[tuple[str, Mapping[str, object], str], ...] = (
            (self.variant, variants(), "attention"), (self.encoding, encodings(), "encoding"),
        )  # fmt: skip
        for name, table, what in tables:
            if name not in table:
                raise UnknownNameError(f"no {what} of a sibling is called {name!r}; there are {', '.join(table)}")

    @property
    def name(self) -> str:
        """As its folder is called; other seeds than 0 say so."""
        return f"{self.variant}-{self.encoding}" + (f"-seed{self.seed}" if self.seed else "")

    @property
    def config(self) -> Config:
        """Its config.json: all shared sizes, whether its attention uses them or not, its own, and how embeddings enter."""
        p = self.preset
        sizes = ("d_model", "n_layers", "n_heads", "head_dim", "n_kv_heads", "kv_lora_rank", "q_lora_rank",
                 "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "d_ff", "vocab_size", "context", "eps")  # fmt: skip
        ours = {name: value for name, value in asdict(p).items() if name in sizes}
        multiplier = p.d_model**0.5 if p.embedding_multiplier is None else p.embedding_multiplier
        mean = {"embedding_mean": p.embedding_mean} if p.embedding_mean else {}
        kinds = {"attention": self.variant, "position": self.encoding}
        return Config(kinds | ours | {"embedding_multiplier": multiplier} | mean | self._own_sizes)

    @property
    def _own_sizes(self) -> dict[str, int]:
        """Sizes that no preset has, since its attention alone takes them: as its row says, else its class's default."""
        row, shared = variants()[self.variant], asdict(self.preset)
        own = [name for name in row.size_names if name not in shared]
        return {name: row.sizes[name] if name in row.sizes else getattr(row.kind, name) for name in own}

    @property
    def fingerprint(self) -> str:
        """Changes with anything that its losses depend on."""
        told = asdict(self) | {"preset": self.preset.facts}
        told |= {"own": self._own_sizes} if self._own_sizes else {}  # left out where there are none, as in older cards
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def siblings(preset: Preset, corpus: str) -> list[Sibling]:
    """Every attention with every encoding, the last encoding of the table first (RoPE), then the spare seeds of one."""
    every = [Sibling(preset, variant, encoding, corpus) for encoding in reversed(encodings()) for variant in variants()]
    variant, _, encoding = SPREAD.partition("-")
    return every + [Sibling(preset, variant, encoding, corpus, seed) for seed in SEEDS[1:]]
