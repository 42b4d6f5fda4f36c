"""Variants of the packaged models by name: rows, what they share with the model they are laid over, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headlight import load_model, run
from headlight.core import registry
from headlight.core.analysis import referent
from headlight.core.analysis.variant_quality import is_shipped, missing, qualities, quality
from headlight.core.checkpoints import variant
from headlight.core.errors import CheckpointError, UnknownNameError
from headlight.core.model import Model
from headlight.core.registry import MODELS, PACKAGED, base_of, relatives, with_attention
from headlight.core.serving.engine import Engine
from headlight.core.surgery import Repetition
from headlight.core.surgery.whole import convert_model

VARIANTS = [name for name, row in MODELS.items() if row.base is not None]
HERE = [name for name in VARIANTS if MODELS[name].installed]
SHIPPED = [name for name in HERE if is_shipped(name)]
SENTENCE = "The animal didn't cross the street, because it was too tired."


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu")


def test_every_variant_stands_behind_the_model_that_it_is_laid_over() -> None:
    names = list(MODELS)
    for name in VARIANTS:
        base = base_of(name)
        assert base in PACKAGED and base_of(base) == base and names.index(base) < names.index(name)
        assert MODELS[name].family == MODELS[base].family == base
        assert MODELS[name].position == MODELS[base].position and MODELS[name].causal == MODELS[base].causal


@pytest.mark.parametrize("name", HERE)
def test_it_shares_all_but_the_attention_and_reads_the_same_tokens(name: str, engine: Engine) -> None:
    new, base = engine.model(name), engine.model(base_of(name))
    assert isinstance(new, Model) and isinstance(base, Model)
    assert (new.name, new.title) == (name, MODELS[name].title)
    assert type(new.attention) is registry.ATTENTION[str(MODELS[name].attention)]
    assert new.embedding is base.embedding and new.head is base.head and new.top is base.top
    for ours, theirs in zip(new.layers, base.layers, strict=True):
        assert all(ours[key] is t for key, t in theirs.items() if key not in base.attention.shapes())
    ours, theirs = (run(model, SENTENCE, [0]) for model in (new, base))
    assert ours.tokens == theirs.tokens and ours.layers[0].weights.shape == theirs.layers[0].weights.shape
    assert engine.model(base_of(name)) is base  # loaded once, whatever is laid over it


def test_a_variant_brings_its_model_along_even_where_that_is_not_offered() -> None:
    engine = Engine("cpu")
    for name in [name for name in engine.rows if name != HERE[0]]:
        del engine.rows[name]
    assert engine.model(HERE[0]).name == HERE[0]


def test_smollm2_as_mha_is_smollm2(smollm2: Model) -> None:
    new = load_model("smollm2", attention="mha", base=smollm2)
    ours, theirs = run(new, SENTENCE), run(smollm2, SENTENCE)
    assert ours.logits is not None and theirs.logits is not None
    assert new.name == "smollm2-mha" and float((ours.logits - theirs.logits).abs().max()) < 1e-5
    torch.testing.assert_close(ours.layers[13].weights, theirs.layers[13].weights, rtol=0, atol=1e-5)
    by_surgery = convert_model(smollm2, Repetition(), smollm2.n_heads)
    assert new.attention == by_surgery.attention
    assert all(torch.equal(new.layers[7][name], t) for name, t in by_surgery.layers[7].items())
    assert new.layers[4]["q_proj.weight"] is smollm2.layers[4]["q_proj.weight"]


@pytest.mark.parametrize("name", HERE)
def test_the_attention_by_name_is_the_variant_by_name(name: str) -> None:
    attention = str(MODELS[name].attention)
    assert with_attention(base_of(name), attention) == name == with_attention(name, attention)
    assert relatives(name)[attention, str(MODELS[name].position)] == name


def test_an_attention_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(UnknownNameError, match=r"MiniLM is not here with the attention 'mla'; there are mha"):
        load_model("minilm", "cpu", attention="mla")
    with pytest.raises(UnknownNameError, match="no model is called 'nothing'"):
        load_model("nothing", "cpu", attention="mla")


def test_a_variant_that_is_missing_is_not_installed_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = replace(MODELS["smollm2-mla"], folder=tmp_path)
    monkeypatch.setitem(MODELS, "smollm2-mla", gone)  # type: ignore[attr-defined]
    assert not gone.installed and "SmolLM2 · MLA" in missing("smollm2")
    with pytest.raises(UnknownNameError, match="SmolLM2 is not here with the attention 'mla'"):
        load_model("smollm2", "cpu", attention="mla")


def test_a_damaged_variant_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, minilm: Model
) -> None:
    monkeypatch.setattr(variant, "FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match=r"minilm-latent|config\.json"):
        load_model("minilm-latent", base=minilm)
    with pytest.raises(CheckpointError, match="MiniLM · Latent is laid over MiniLM, not over"):
        load_model("minilm-latent", base=load_model("mha-rope", "cpu"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_says_what_the_variant_does(name: str, engine: Engine) -> None:
    found = quality(name)
    assert name in [each.name for each in qualities(base_of(name))]
    assert found.kept < found.original_kept and found.losses[0][-1] == found.card["steps"]
    if found.referent:
        live = referent.weights(engine.model(name), base_of(name))
        assert found.referent["healed"] == pytest.approx(live, abs=1e-3)
        assert found.referent["as_trained"] == pytest.approx(
            referent.weights(engine.model(base_of(name)), base_of(name)), abs=1e-3
        )
