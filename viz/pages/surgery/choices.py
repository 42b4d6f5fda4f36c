"""What is on the Surgery page, to and from a link; what each choice may be stands in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from headlight.core.surgery import Conversion, Decouple, FreshHeads, RandomHead
from headlight.core.surgery.conversions.rotary import CHOICES
from headlight.core.surgery.methods import METHODS

ROTARY = (4, 8, 16, 24, 32, 48)  # rotary dimensions that a head may keep; those that fit it are offered
MOST_SEED = 999


@dataclass(frozen=True)
class SurgeryChoices:
    """What a visitor has chosen; None is a choice not made yet, which the page makes well.

    text, model; method: of METHODS; heads: KV heads left; rank: of the latent; rotary, choice: what `Decouple` keeps turned;
    plain: its SVD looks at the weights alone; seed: of random heads; layer, head; whole: all layers are converted, not the
    one on screen alone; query, key: the picked cell.
    """

    text: str
    model: str = "minilm"
    method: str = "weighted"
    heads: int | None = None
    rank: int | None = None
    rotary: int = 16
    choice: str = "high"
    plain: bool = False
    seed: int = 0
    layer: int | None = None
    head: int | None = None
    whole: bool = False
    query: int | None = None
    key: int | None = None

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


def _whole(low: int, high: int) -> Callable[[str], int | None]:
    def rule(value: str) -> int | None:
        digits = value.strip()
        number = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 9 else None
        return number if number is not None and low <= number <= high else None

    return rule


def _among(options: Sequence[str]) -> Callable[[str], str | None]:
    return lambda value: value if value in options else None


_ANY = _whole(0, 999_999_999)  # whether there is such a layer, head or rank is known once the model is
_RULES: Mapping[str, Callable[[str], object]] = {
    "text": str, "model": str, "method": _among(tuple(METHODS)), "heads": _ANY, "rank": _ANY,
    "rotary": lambda value: next((n for n in ROTARY if str(n) == value), None), "choice": _among(tuple(CHOICES)),
    "plain": _among(("1",)), "seed": _whole(0, MOST_SEED), "layer": _ANY, "head": _ANY, "whole": _among(("1",)),
    "query": _ANY, "key": _ANY,
}  # fmt: skip
_NAMES = {"heads": "number of KV heads", "rotary": "number of rotary dimensions", "choice": "choice of dimensions",
          "whole": "choice of layers", "plain": "kind of SVD"}  # fmt: skip


def to_link(choices: SurgeryChoices) -> dict[str, str]:
    """The parameters of the address bar; what is as at first is left out, but for text, model and method."""
    plain = SurgeryChoices(text="")
    changed = {
        f.name: getattr(choices, f.name) for f in fields(choices) if getattr(choices, f.name) != getattr(plain, f.name)
    }
    changed |= {"text": choices.text, "model": choices.model, "method": choices.method}
    return {name: "1" if value is True else str(value) for name, value in changed.items() if value is not None}


def from_link(params: Mapping[str, str], fallback: SurgeryChoices) -> tuple[SurgeryChoices, list[str]]:
    """The choices that a link asks for, gaps filled from `fallback`, and a note for each value that is no such thing."""
    changes: dict[str, object] = {}
    notes = []
    for name, rule in _RULES.items():
        if name not in params:
            continue
        value = rule(params[name])
        if value is None:
            notes.append(f"The link's {_NAMES.get(name, name)} is none that can be shown; it was chosen for you.")
        else:
            changes[name] = True if name in ("whole", "plain") else value
    if changes.get("model", fallback.model) != fallback.model:
        fallback = SurgeryChoices(fallback.text)
    return replace(fallback, **changes), notes  # type: ignore[arg-type]  # names and types are those of SurgeryChoices


def nearest(settings: Sequence[int], wanted: int | None, default: int) -> int:
    """The setting wanted, or the nearest there is; None: the one nearest to `default`.

    >>> nearest((1, 2, 3, 4, 6, 12), 5, 3), nearest(range(1, 385), 0, 192), nearest(range(1, 385), None, 192)
    (4, 1, 192)
    """
    target = default if wanted is None else wanted
    return min(settings, key=lambda setting: abs(setting - target))
