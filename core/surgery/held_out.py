"""How good a model is on a text that nothing was fitted to: perplexity of a decoder, and how far an encoder's sentence
embeddings stay where they were."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from headlight.core import ASSETS
from headlight.core.errors import InputError
from headlight.core.model import Model

TEXTS = ASSETS / "texts"
Turn = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Text:
    """Passages of one work, each of some 150 words; source and licence as in assets/texts."""

    title: str
    author: str
    year: int
    source: str
    licence: str
    passages: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Its sentences, cut after a full stop, question or exclamation mark that a blank follows."""
        parts = [part for passage in self.passages for part in re.split(r"(?<=[.!?])[\"')]*\s+", passage)]
        return tuple(part.strip() for part in parts if len(part.split()) >= 3)


def held_out() -> Text:
    """The text to judge on."""
    return _read("heldout.json")


def held_out_news() -> Text:
    """A second text to judge on, of another kind: newspaper articles of 2014 in plain English."""
    return _read("heldout_news.json")


def calibration() -> Text:
    """The text to calibrate on, of another author."""
    return _read("calibration.json")


def _read(name: str) -> Text:
    held = json.loads((TEXTS / name).read_text(encoding="utf-8"))
    return Text(**{**held, "passages": tuple(held["passages"])})


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model that others are held against, and the text.

    measure: "perplexity" (a decoder: exp of the mean cross-entropy in nats per token, less is better) or "similarity" (an
    encoder: mean cosine of sentence embeddings to the model's own, 1 at best). own: what the model itself reaches.
    """

    text: Text
    measure: str
    own: float
    embeddings: Float[Tensor, "sentences d_model"] | None = None

    @classmethod
    def of(cls, model: Model, text: Text, turn: Turn = nullcontext) -> Evaluation:
        """The evaluation that a model gives; each passage is read inside `turn()`."""
        if model.head is None:
            return cls(text, "similarity", 1.0, embeddings(model, text.sentences, turn))
        return cls(text, "perplexity", perplexity(model, text.passages, turn))

    def value(self, model: Model, turn: Turn = nullcontext) -> float:
        """What another model reaches."""
        if self.embeddings is None:
            return perplexity(model, self.text.passages, turn)
        return float(F.cosine_similarity(embeddings(model, self.text.sentences, turn), self.embeddings).mean())


@torch.inference_mode()
def perplexity(model: Model, passages: tuple[str, ...], turn: Turn = nullcontext) -> float:
    """exp(mean cross-entropy) over the tokens of all passages, each predicted from those before it in its passage.

    A passage's first token is predicted from nothing and does not count. Raises InputError for an encoder.
    """
    if model.head is None:
        raise InputError(f"{model.title} reads both ways and predicts no next token; perplexity is for decoders")
    found = []
    for passage in passages:
        with turn():
            found.append(_losses(model, passage))
    return float(torch.cat(found).cpu().double().mean().exp())


def _losses(model: Model, passage: str) -> Float[Tensor, " tokens"]:
    tokens = model.tokens(passage)
    logits = model.read(tokens, []).logits
    if logits is None:
        return torch.zeros(0)
    return F.cross_entropy(logits[:-1].float(), torch.tensor(tokens.ids[1:], device=logits.device), reduction="none")


@torch.inference_mode()
def embeddings(
    model: Model, sentences: tuple[str, ...], turn: Turn = nullcontext
) -> Float[Tensor, "sentences d_model"]:
    """One vector a sentence: the mean over all its tokens, special ones too, as all-MiniLM-L6-v2 is meant to be used (its
    model card: mean pooling over the attention mask). Not normalised: cosines do not need it."""
    found = []
    for sentence in sentences:
        with turn():
            found.append(model.read(model.tokens(sentence), []).hidden.mean(0))
    return torch.stack(found)
