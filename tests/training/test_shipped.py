"""The siblings in assets/siblings are the ones that their cards tell of."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn import functional as F

from headlight.core.checkpoints import sibling
from headlight.core.model import run
from training.evaluate import ROOT
from training.measures.heads import opened
from training.presets import PRESETS, siblings

SHIPPED = ROOT / "assets" / "siblings"
NAMES = sorted(path.parent.name for path in SHIPPED.glob("*/card.json"))


def card(name: str) -> dict:
    return json.loads((SHIPPED / name / "card.json").read_text("utf-8"))


def test_there_are_siblings_and_with_a_table_there_are_all_twelve():
    assert NAMES
    if (SHIPPED / "table.json").exists():
        assert sorted(NAMES) == sorted(s.name for s in siblings(PRESETS[card(NAMES[0])["preset"]], "") if not s.seed)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_on_the_card_is_the_loss_of_the_weights(name):
    model = sibling.load(SHIPPED / name, torch.device("cpu"), torch.float32)
    rows = json.loads((SHIPPED / "sample.json").read_text("utf-8"))
    losses = [F.cross_entropy(run(model, opened(row[:-1])).logits, torch.tensor(row)) for row in rows]
    assert float(torch.stack(losses).mean()) == pytest.approx(card(name)["sample_loss"], abs=0.01)


def test_all_siblings_are_of_one_preset_corpus_and_budget():
    same = ("preset", "seed", "corpus", "steps", "tokens_seen", "optimiser", "precision", "validation_tokens")
    assert len({json.dumps([card(name)[key] for key in same]) for name in NAMES}) == 1


def test_all_siblings_together_stay_under_120_megabytes():
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 120e6


def test_authors_are_credited():
    lines = (SHIPPED / "ATTRIBUTION.tsv").read_text("utf-8").splitlines()
    assert lines[0].split("\t") == ["source", "doc", "title", "text author", "translation", "licence"]
    told = (SHIPPED / "README.md").read_text("utf-8")
    assert "CC BY-SA 4.0" in told and "CDLA-Sharing-1.0" in told
    assert len(lines) > 800
