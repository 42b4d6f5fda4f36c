"""The attention variants by name: one row a variant, from which menus, siblings, checkpoints and presets follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from headlight.core.attention.base import Attention
from headlight.core.attention.decoupled import Decoupled
from headlight.core.attention.gqa import GQA
from headlight.core.attention.latent import Latent
from headlight.core.attention.mha import MHA
from headlight.core.attention.mla import MLA
from headlight.core.attention.mqa import MQA


@dataclass(frozen=True)
class VariantRow:
    """title: what people call it; kind: its class; trained: whether siblings are trained with it from scratch; saved: whether a
    sibling's folder may hold it; sizes: in siblings, of those of its fields that it shares with no other variant.
    """

    title: str
    kind: type[Attention]
    trained: bool = True
    saved: bool = True
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def size_names(self) -> tuple[str, ...]:
        """The sizes that make one: the fields of its class that are chosen, but for the mask and the biases."""
        return tuple(f.name for f in fields(self.kind) if f.init and f.name not in ("causal", "bias"))


VARIANTS: Mapping[str, VariantRow] = {
    "mha": VariantRow("MHA", MHA),
    "gqa": VariantRow("GQA", GQA),
    "mqa": VariantRow("MQA", MQA),
    "mla": VariantRow("MLA", MLA),
    "latent": VariantRow("Latent", Latent, trained=False),
    # Not saved: rope_dims are whole numbers, and a sibling's file holds halves.
    "decoupled": VariantRow("Decoupled", Decoupled, trained=False, saved=False),
}


def name_of(attention: Attention) -> str:
    """Its name in VARIANTS; raises KeyError where its class has no row."""
    return {row.kind: name for name, row in VARIANTS.items()}[type(attention)]
