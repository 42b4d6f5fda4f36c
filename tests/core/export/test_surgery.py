"""Surgery's numbers as files: cells, points, and a layer that runs again from its file."""

from __future__ import annotations

import csv
import io
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load

from headlight.core.attention import Decoupled
from headlight.core.export.surgery import curve_csv, layer_safetensors, weights_csv
from headlight.core.surgery import Decouple
from headlight.core.types import Tokens
from tests.core.surgery.layers import inputs, layer, out


def test_a_head_is_a_row_a_cell_that_may_be_looked_at():
    tokens = Tokens("a =b", (3, 4), ("a", "=b"), ((0, 1), (2, 4)), (False, False))
    before, after = torch.tensor([[1.0, 0.0], [0.25, 0.75]]), torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    rows = list(csv.reader(io.StringIO(weights_csv(tokens, before, after, torch.ones(2, 2, dtype=torch.bool).tril()))))
    assert rows[0] == ["query", "key", "query token", "key token", "before", "after", "after minus before"]
    assert rows[1:] == [
        ["0", "0", "a", "a", "1", "1", "0"],
        ["1", "0", "'=b", "a", "0.25", "0.5", "0.25"],
        ["1", "1", "'=b", "'=b", "0.75", "0.5", "-0.25"],
    ]


def test_a_curve_is_a_row_a_point():
    rows = list(csv.reader(io.StringIO(curve_csv([("Latent", 5, 5, 40, 61.25, False)], "perplexity"))))
    assert rows[0][4] == "perplexity" and rows[1] == ["Latent", "5", "5", "40", "61.25", "no"]


def test_a_converted_layer_runs_again_from_its_file(tmp_path):
    it, conversion = layer(2, "half", bias=True), Decouple(rotary=4)
    new = conversion.convert(it, 9)
    data = layer_safetensors("somebody", 3, conversion, 9, new)
    path = tmp_path / "layer.safetensors"
    path.write_bytes(data)
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["headlight"])
    assert about["attention"] == "Decoupled" and about["source"] == conversion.source
    again = Decoupled(**about["sizes"])
    assert again == new.attention
    trace = again.attend(inputs()[:13], load(data), it.position)
    torch.testing.assert_close(trace.out, out(it, new)[1], rtol=0, atol=1e-13)
    assert about["setting"] == pytest.approx(9)
