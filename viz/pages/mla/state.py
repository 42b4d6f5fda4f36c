"""Inside MLA: the layer that all its sections look at, and the controls that choose it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from headlight.core.attention.mla import MLA, mla_of
from headlight.core.errors import InputError, MissingModelError
from headlight.core.model import Model
from headlight.core.registry import MODELS
from headlight.core.types import Run
from headlight.viz import store
from headlight.viz.pages.explore import choices as view
from headlight.viz.pages.mla.choices import InsideMLA, latent_models, state


@dataclass(frozen=True)
class Layered:
    """One layer of a model on the sentence, and the head that is looked at."""

    name: str
    model: Model
    run: Run
    layer: int
    head: int

    @property
    def title(self) -> str:
        """What people call the model."""
        return MODELS[self.name].title

    @property
    def kv_head(self) -> int:
        """The KV head that the head reads."""
        return self.run.layers[self.layer].kv_head(self.head)


def read(choices: InsideMLA, name: str) -> Layered:
    """A model's layer on the sentence; the nearest layer and head that it has. Raises what `store.run` raises."""
    model, run = store.model(name), store.run_or_last(name, choices.text)
    if not isinstance(model, Model):
        raise InputError(f"{model.title} is run by transformers; its steps cannot be shown here")
    layer, head = min(choices.layer, model.n_layers - 1), min(choices.head, model.n_heads - 1)
    return Layered(name, model, run, layer, head)


def begin(choices: InsideMLA) -> tuple[InsideMLA, list[str], Layered, Any]:
    """What all sections begin with: the choices settled to what exists, notes on that, the layer, and the row of controls.

    Raises HeadlightError.
    """
    models, notes = latent_models(), []
    if not models:
        raise MissingModelError("no MLA sibling is trained on this machine yet; `python -m training.run` makes them")
    if choices.model not in models:
        choices = replace(choices, model="mla-rope" if "mla-rope" in models else next(iter(models)))
        notes.append(f"The link's model isn't an MLA sibling on this machine; showing {models[choices.model]}.")
    model = store.model(choices.model)
    wanted = view.Choices("", "", choices.layer, choices.head)
    found, further = view.settle(wanted, n_layers=model.n_layers, n_heads=model.n_heads, length=1, causal=True)
    choices = replace(choices, layer=found.layer or 0, head=found.head or 0)
    row = state.row("model")
    with row:
        limit = store.engine().limits.max_characters
        state.text("Sentence", "text", choices.text, limit, width=370)
        state.menu("Model", "model", choices.model, list(models), format_func=lambda n: models.get(n, n), width=170)
        state.slider("Layer", "layer", choices.layer, 0, model.n_layers - 1, width=120)
        state.slider("Head", "head", choices.head, 0, model.n_heads - 1, width=120)
    return choices, notes + further, read(choices, choices.model), row


def attention_of(here: Layered) -> MLA:
    """Its MLA; raises InputError where it is none."""
    return mla_of(here.model.attention, here.title)
