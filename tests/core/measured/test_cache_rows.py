"""What an attention says it keeps is what its cache holds, for every variant, encoding, and converted or healed form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from headlight.core.attention import MHA, Decoupled, Latent
from headlight.core.cache import DecodingCache
from headlight.core.checkpoints import sibling
from headlight.core.errors import ConfigError, InputError
from headlight.core.measured.held import cache_shape, held
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.shape import CachePart, Heads, Parts
from headlight.core.memory.shape import Latent as LatentRow
from headlight.core.memory.sizes import bytes_per_token, parts_at
from headlight.core.model import Model
from headlight.core.positions import RoPE
from headlight.core.surgery import Decouple, JointSVD, MeanPooling, Repetition, WeightedSVD
from headlight.core.surgery.base import Conversion
from headlight.core.surgery.healed import FOLDER
from headlight.core.surgery.methods import convertible
from headlight.core.surgery.whole import convert_model
from tests.core.checkpoints.tiny_sibling import tiny_sibling
from tests.core.variants import LENGTH, build, cases, on_random, rotary_width

HEALED = sorted(path.parent.name for path in FOLDER.glob("*/model.safetensors"))


@cases(causal=(True,))
def test_the_row_names_each_tensor_that_is_kept_with_its_shape(case) -> None:  # type: ignore[no-untyped-def]
    tensors = case.project().cache.tensors
    row = case.attention.cache_row()
    assert {name: tuple(t.shape) for name, t in tensors.items()} == {
        part.name: part.shape(LENGTH) for part in row.parts
    }
    assert (
        row.elements == case.attention.cached_elements_per_token() == sum(t.numel() for t in tensors.values()) // LENGTH
    )


@cases(causal=(True,))
def test_decoding_keeps_what_reading_keeps(case) -> None:  # type: ignore[no-untyped-def]
    cache = DecodingCache(capacity=2)
    for t in range(LENGTH):
        case.attention.step(
            case.position.at_input(case.x[t : t + 1], torch.tensor([t])), case.params, case.position, cache
        )
    shapes = {name: tuple(t.shape) for name, t in cache.tensors.items()}
    assert shapes == {part.name: part.shape(LENGTH) for part in case.attention.cache_row().parts}


@pytest.mark.parametrize("kind", [MHA, Latent, Decoupled])
def test_what_is_said_to_be_rotated_is_and_nothing_else(kind: type) -> None:
    attention = build(kind)
    plain = on_random(attention).project().cache.tensors
    rotated = on_random(attention, RoPE(rotary_width(attention))).project().cache.tensors
    for part in attention.cache_row().parts:
        assert torch.equal(plain[part.name], rotated[part.name]) is not part.rotated, part.name


def test_the_shipped_healed_latent_keeps_144_elements_a_token_and_layer() -> None:
    model = sibling.load(FOLDER / "mha-sinusoidal-to-latent", torch.device("cpu"), torch.float32)
    assert cache_shape(model).groups[0].elements == model.attention.cached_elements_per_token() == 144
    assert held(model, [3, 5, 7]).held == (144 * 4 * 4, 144 * 4 * 8, 144 * 4 * 12)


@pytest.mark.parametrize("name", HEALED)
def test_every_healed_model_holds_what_the_formula_and_its_card_say(name: str) -> None:
    model = sibling.load(FOLDER / name, torch.device("cpu"), torch.float32)
    found = held(model, [3, 5, 7, 11])
    card = json.loads((FOLDER / name / "card.json").read_text("utf-8"))
    assert found.held == found.computed
    assert cache_shape(model).groups[0].elements == card["cached_elements_per_token_and_layer"]


@pytest.mark.parametrize("position", sibling.encodings())
@pytest.mark.parametrize("attention", sibling.variants())
def test_every_tiny_sibling_and_every_conversion_of_it_holds_what_the_formula_says(
    attention: str, position: str, minilm: Model
) -> None:
    model = _single(tiny_sibling(attention, position, minilm.tokenizer))
    moments = [torch.eye(23, dtype=torch.float64) for _ in range(model.n_layers)]
    for it in (model, *_converted(model, moments)):
        found, shape = held(it, [3, 5, 7]), cache_shape(it)
        one = 3 * it.attention.cached_elements_per_token() * 4
        assert found.held == found.computed == (one, 2 * one, 3 * one)
        assert bytes_per_token(shape, PRECISIONS["fp32"]) == one
        assert sum(parts_at(shape, 5, PRECISIONS["fp32"]).values()) == 5 * one


def _single(model: Model) -> Model:
    """In float32, since what is held is told in the precisions that models run in."""
    layers = tuple({name: t.float() for name, t in params.items()} for params in model.layers)
    top = {name: t.float() for name, t in model.top.items()}
    return replace(model, embedding=model.embedding.float(), layers=layers, top=top, head=model.embedding.float())


def _converted(model: Model, moments: list[Tensor]) -> list[Model]:
    conversions: Mapping[Conversion, int] = {
        MeanPooling(): 1, Repetition(): 4, JointSVD(): 7, WeightedSVD(): 5, Decouple(rotary=2): 9,
    }  # fmt: skip
    return [
        convert_model(model, conversion, setting, moments)
        for conversion, setting in conversions.items()
        if conversion.refusal(model.attention, model.position) is None
    ]


def test_a_converted_model_is_not_taken_for_one_to_convert() -> None:
    healed = sibling.load(FOLDER / "mha-sinusoidal-to-latent", torch.device("cpu"), torch.float32)
    with pytest.raises(InputError, match="keeps a latent already; conversions start from key and value heads"):
        convertible(healed)
    with pytest.raises(InputError, match="cannot be done to this model: it keeps a latent already"):
        convert_model(healed, MeanPooling(), 2)
    assert convertible(replace(healed, attention=build(MHA))).attention == build(MHA)


def test_an_mla_is_refused_with_what_it_keeps(minilm: Model) -> None:
    with pytest.raises(InputError, match="keeps a latent and a rotated key already"):
        convertible(tiny_sibling("mla", "none", minilm.tokenizer))


def test_rows_of_published_models_say_their_parts() -> None:
    assert [(part.name, part.kind, part.elements) for part in Heads(3, 5, 7).parts] == [
        ("k", "keys", 15), ("v", "values", 21),
    ]  # fmt: skip
    assert [(part.kind, part.elements) for part in Heads(1, 576, 0).parts] == [("one", 576)]
    assert [(part.name, part.elements, part.rotated) for part in LatentRow(11, 6).parts] == [
        ("c_kv", 11, False), ("k_rope", 6, True),
    ]  # fmt: skip
    assert LatentRow(11, 6).part("keys") is None


def test_impossible_rows_are_refused() -> None:
    with pytest.raises(ConfigError, match="each with its own name"):
        Parts((CachePart("k", "keys", 3), CachePart("k", "values", 3)))
    with pytest.raises(ConfigError, match="the width of k"):
        CachePart("k", "keys", -1)
