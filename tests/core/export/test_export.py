"""Exported numbers come back as they were computed, with their labels."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load

from headlight import run
from headlight.core.errors import InputError
from headlight.core.export.layer import step_to_csv, steps_to_safetensors, to_csv, to_npz, to_safetensors
from headlight.core.types import Run

ARRAYS = ("q", "k", "v", "scores", "weights", "mask", "heads")
LAYER, HEAD = 3, 2


@pytest.fixture(params=["minilm", "smollm2"])
def result(request, sentence) -> Run:
    return run(request.getfixturevalue(request.param), sentence)


def _sheet(result: Run) -> list[list[str]]:
    return list(csv.reader(io.StringIO(to_csv(result, LAYER, HEAD), newline="")))


def test_a_csv_file_holds_the_weights_and_leaves_masked_cells_empty(result):
    (corner, *keys), *rows = _sheet(result)
    trace = result.layers[LAYER]
    assert corner == "query \\ key"
    assert keys == [row[0] for row in rows]
    assert len(rows) == len(result.tokens)
    for t, (_, *cells) in enumerate(rows):
        for u, cell in enumerate(cells):
            if trace.mask[t, u]:
                assert float(cell) == pytest.approx(float(trace.weights[HEAD, t, u]), rel=5e-7)
            else:
                assert cell == ""


def test_a_csv_file_names_its_tokens(result):
    (_, *keys), *_ = _sheet(result)
    assert keys == list(result.tokens.pieces)


@pytest.mark.parametrize("text", ['a\n"b", c;\td\r\n', "🦊 漢字 مرحبا", "\x00 and \x1b", "'quoted'"])
def test_a_csv_file_survives_awkward_tokens(smollm2, text):
    result = run(smollm2, text)
    (_, *keys), *rows = _sheet(result)
    assert keys == list(result.tokens.pieces) == [row[0] for row in rows]


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "-2", "@SUM(A1)", " =1", "\t=1", "\n-x"])
def test_no_cell_of_a_csv_file_is_a_formula(smollm2, minilm, text):
    for model in (smollm2, minilm):
        result = run(model, text)
        labels = _sheet(result)[0][1:]
        for label, piece in zip(labels, result.tokens.pieces, strict=True):
            risky = piece.strip()[:1] in ("=", "+", "-", "@") and piece.strip() != ""
            assert label == ("'" + piece if risky else piece)
        assert any(label.startswith("'") for label in labels)


def test_a_safetensors_file_holds_every_array_and_its_labels(result, tmp_path):
    path = tmp_path / "layer.safetensors"
    path.write_bytes(to_safetensors(result, LAYER))
    _same_arrays(load(path.read_bytes()), result)
    with safe_open(path, "numpy") as file:
        _same_labels(json.loads(file.metadata()["headlight"]), result)


def test_an_npz_file_holds_every_array_and_its_labels(result):
    with np.load(io.BytesIO(to_npz(result, LAYER)), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(str(arrays.pop("about")))
    _same_arrays(arrays, result)
    _same_labels(about, result)


def _same_arrays(arrays, result):
    assert set(arrays) == set(ARRAYS)
    for name, array in arrays.items():
        expected = getattr(result.layers[LAYER], name).numpy()
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


def _same_labels(about, result):
    assert (about["model"], about["layer"], about["text"]) == (result.model, LAYER, result.tokens.text)
    assert tuple(about["pieces"]) == result.tokens.pieces
    assert tuple(about["ids"]) == result.tokens.ids
    for name, axes in about["axes"].items():
        assert len(axes) == getattr(result.layers[LAYER], name).ndim
    assert set(about["axes"]) == set(ARRAYS)


def test_a_step_comes_back_from_its_csv_with_its_tokens(result):
    trace = result.layers[LAYER]
    for step in trace.steps:
        (corner, *columns), *rows = csv.reader(
            io.StringIO(step_to_csv(result.tokens, step, HEAD % (step.n_heads or 1)))
        )
        assert corner == "token" and [row[0] for row in rows] == list(result.tokens.pieces)
        expected = step.of_head(HEAD % (step.n_heads or 1))
        assert len(columns) == expected.shape[1]
        read = [[float(cell) if cell else float("-inf") for cell in row[1:]] for row in rows]
        np.testing.assert_allclose(read, expected.numpy(), rtol=5e-7)
        assert columns == list(result.tokens.pieces if step.axes[-1] == "kv_len" else map(str, range(len(columns))))


def test_all_steps_come_back_from_a_safetensors_file(result, tmp_path):
    path = tmp_path / "steps.safetensors"
    steps = result.layers[LAYER].steps
    path.write_bytes(steps_to_safetensors("m", LAYER, result.tokens, steps))
    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()["headlight"])
        assert set(file.keys()) == {step.name for step in steps}
        for step in steps:
            np.testing.assert_array_equal(file.get_tensor(step.name), step.value.numpy())
            assert tuple(about["axes"][step.name]) == step.axes and about["formulas"][step.name] == step.formula
    assert (about["text"], about["layer"], tuple(about["pieces"])) == (result.tokens.text, LAYER, result.tokens.pieces)


def test_a_step_says_which_heads_it_has(result):
    step = result.layers[LAYER].step("q")
    with pytest.raises(InputError, match=rf"step 'q' has heads 0 to {step.n_heads - 1}, not 99"):
        step.of_head(99)
    assert result.layers[LAYER].step("h").n_heads is None
