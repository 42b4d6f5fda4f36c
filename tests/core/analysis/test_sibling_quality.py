"""Quality against cache: the numbers are those of the cards, the cards' are those of the models."""

from __future__ import annotations

import json

import pytest
import torch

from headlight.core.analysis import sibling_quality as quality
from headlight.core.checkpoints import sibling
from headlight.core.errors import CheckpointError, lookup
from headlight.core.registry import SIBLINGS

INSTALLED = [name for name, row in SIBLINGS.items() if row.installed]


@pytest.mark.parametrize("name", INSTALLED)
def test_a_card_says_what_its_model_keeps_and_how_large_it_is(name: str) -> None:
    found = next(q for q in quality.qualities() if q.name == name)
    model = sibling.load(lookup(SIBLINGS, name, "sibling").folder, torch.device("cpu"), torch.float32)
    assert found.kept == model.attention.cached_elements_per_token()
    assert found.layers == model.n_layers
    assert model.head is not None
    inside = sum(t.numel() for params in (*model.layers, model.top) for t in params.values())
    assert found.parameters == inside + model.head.numel()
    assert found.cached_bytes() == found.kept * model.n_layers * 2


def test_siblings_of_one_position_differ_in_what_they_keep_as_their_papers_say() -> None:
    kept = {q.attention: q.kept for q in quality.qualities() if q.position == "rope"}
    heads, kv_heads, dim = 6, 2, 32
    papers = {"mha": 2 * heads * dim, "gqa": 2 * kv_heads * dim, "mqa": 2 * dim, "mla": 4 * dim + dim // 2}
    assert kept == {name: papers[name] for name in kept}


def test_every_score_is_a_known_measure() -> None:
    for found in quality.qualities():
        assert found.scores.keys() <= quality.MEASURES.keys()
        assert "loss" in found.scores


def test_published_tables_have_a_source_and_a_value_for_every_column() -> None:
    for table in quality.published():
        assert table["source"] and table["status"]
        assert all(len(values) == len(table["columns"]) for values in table["rows"].values())


def test_a_damaged_card_is_an_error_that_names_it(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sibling, "FOLDER", tmp_path)
    (tmp_path / "mha-rope").mkdir()
    (tmp_path / "mha-rope" / "card.json").write_text("{")
    with pytest.raises(CheckpointError, match="card of mha-rope"):
        sibling.read_card("mha-rope")
    (tmp_path / "table.json").write_text(json.dumps([1])[:-1])
    with pytest.raises(CheckpointError, match=r"table\.json"):
        quality.baselines()
