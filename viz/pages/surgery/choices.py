"""What is on the Surgery page, and what each choice may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from headlight.core.examples import examples
from headlight.core.surgery import Conversion, Decouple, FreshHeads, RandomHead
from headlight.core.surgery.methods import METHODS
from headlight.core.surgery.rotary import CHOICES
from headlight.viz.pages.explore.choices import installed_models
from headlight.viz.ui.link import Choices, among, whole
from headlight.viz.ui.link import choice as field  # a field here is called choice
from headlight.viz.ui.state import PageState, carried_text

ROTARY = (4, 8, 16, 24, 32, 48)  # rotary dimensions that a head may keep; those that fit it are offered
MOST_SEED = 999
_ANY = whole(0, 999_999_999)  # whether there is such a layer, head or rank is known once the model is
_ON = among((True,))


@dataclass(frozen=True)
class SurgeryChoices(Choices):
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    text, model; method: of METHODS; heads: KV heads left; rank: of the latent; rotary, choice: what `Decouple` keeps turned;
    plain: its SVD looks at the weights alone; seed: of random heads; layer, head; whole: all layers are converted, not the
    one on screen alone; query, key: the picked cell.
    """

    text: str = field()
    model: str = field("minilm", always=True)
    method: str = field("weighted", among(METHODS), always=True)
    heads: int | None = field(None, _ANY, name="number of KV heads")
    rank: int | None = field(None, _ANY)
    rotary: int = field(16, among(ROTARY), name="number of rotary dimensions")
    choice: str = field("high", among(CHOICES), name="choice of dimensions")
    plain: bool = field(False, _ON, name="kind of SVD")
    seed: int = field(0, whole(0, MOST_SEED))
    layer: int | None = field(None, _ANY)
    head: int | None = field(None, _ANY)
    whole: bool = field(False, _ON, name="choice of layers")
    query: int | None = field(None, _ANY)
    key: int | None = field(None, _ANY)

    @classmethod
    def parse(cls, link: Mapping[str, str], start: Self) -> tuple[Self, list[str]]:
        """The base's; another model's numbers are not taken along."""
        begins_anew = link.get("model", start.model) != start.model
        return super().parse(link, cls(start.text) if begins_anew else start)

    @property
    def conversion(self) -> Conversion:
        """The method with what was chosen for it."""
        if self.method == "decoupled":
            return Decouple(self.rotary, self.choice, not self.plain)
        return {"random": RandomHead(self.seed), "fresh": FreshHeads(self.seed)}.get(self.method) or METHODS[
            self.method
        ]()

    @property
    def setting(self) -> int | None:
        """The method's one number."""
        return self.heads if self.conversion.counts == "heads" else self.rank


def start() -> SurgeryChoices:
    """Where the page begins: the sentence of the page before, and the first model."""
    names = installed_models()
    return SurgeryChoices(carried_text(examples()[0].text), model=names[0] if names else "minilm")


state = PageState("surgery", SurgeryChoices, start)


def nearest(settings: Sequence[int], wanted: int | None, default: int) -> int:
    """The setting wanted, or the nearest there is; None: the one nearest to `default`.

    >>> nearest((1, 2, 3, 4, 6, 12), 5, 3), nearest(range(1, 385), 0, 192), nearest(range(1, 385), None, 192)
    (4, 1, 192)
    """
    target = default if wanted is None else wanted
    return min(settings, key=lambda setting: abs(setting - target))
