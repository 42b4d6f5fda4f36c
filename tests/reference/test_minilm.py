"""MiniLM against transformers' BertModel on the same folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import BertModel

from headlight import load_model, run
from headlight.core.checkpoints.packages import find_file
from headlight.core.checkpoints.pretrained import MINILM_PACKAGE
from tests.reference.float64 import float64_oracle
from tests.reference.oracle import (
    FLOAT32_RELATIVE,
    FLOAT32_WEIGHTS,
    FLOAT64,
    TEXTS,
    apart,
    apart_relative,
    ask,
    weights_of,
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return find_file(MINILM_PACKAGE, "model/model.safetensors").parent


def _bert(folder: Path, dtype: torch.dtype) -> BertModel:
    return BertModel.from_pretrained(folder, attn_implementation="eager", dtype=dtype).eval()


@pytest.mark.parametrize("text", TEXTS)
def test_minilm_is_transformers_bert_within_float32(minilm, folder, text):
    result = run(minilm, text)
    answer = ask(_bert(folder, torch.float32), result.tokens.ids)
    assert apart(weights_of(result), answer.weights) < FLOAT32_WEIGHTS
    assert apart_relative(result.hidden, answer.hidden) < FLOAT32_RELATIVE


@pytest.mark.parametrize("text", TEXTS)
def test_minilm_is_transformers_bert_to_ten_digits_in_float64(folder, text):
    result = run(load_model("minilm", "cpu", torch.float64), text)
    with float64_oracle():
        answer = ask(_bert(folder, torch.float64), result.tokens.ids)
    assert apart(weights_of(result), answer.weights) < FLOAT64
    assert apart(result.hidden, answer.hidden) < FLOAT64


def test_minilm_reads_a_text_that_fills_its_context_as_transformers_does(folder):
    # In float64: 512 tokens of float32 alone put 3e-6 between two right answers.
    model = load_model("minilm", "cpu", torch.float64)
    result = run(model, "animal street " * 255)
    assert len(result.tokens) == model.context == 512
    with float64_oracle():
        answer = ask(_bert(folder, torch.float64), result.tokens.ids)
    assert apart(weights_of(result), answer.weights) < FLOAT64


def test_it_looks_at_animal_in_layer_3_head_1(minilm, sentence):
    result = run(minilm, sentence, layers=[3])
    it, animal = result.tokens.pieces.index("it"), result.tokens.pieces.index("animal")
    assert f"{float(result.layers[3].weights[1, it, animal]):.3f}" == "0.689"
