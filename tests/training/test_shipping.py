"""What a finished run leaves: a folder a sibling, and a table of all."""

from __future__ import annotations

import json

import pytest
import torch

from headlight.core.checkpoints import sibling
from headlight.core.errors import CheckpointError
from headlight.core.model import run
from training import evaluate
from training.measures import templates
from training.presets import PRESETS, siblings

CPU = torch.device("cpu")
TWELVE = [s.name for s in siblings(PRESETS["tiny"], "") if not s.seed]


def test_all_twelve_are_shipped_and_of_other_seeds_the_card_alone(trained):
    folders = {path.name for path in trained.output.iterdir() if path.is_dir()}
    assert folders == {*TWELVE, "seeds"} and len(TWELVE) == 12
    assert {path.name for path in (trained.output / "seeds").iterdir()} == {
        "mha-rope-seed1.json",
        "mha-rope-seed2.json",
    }


@pytest.mark.parametrize("name", TWELVE)
def test_a_shipped_sibling_is_a_model_like_any_other(name, trained):
    model = sibling.load(trained.output / name, CPU, torch.float32)
    card = json.loads((trained.output / name / "card.json").read_text())
    assert model.name == name and model.n_layers == 2
    kept = model.attention.cached_elements_per_token()
    assert kept == card["cached_elements_per_token_and_layer"] == {"mha": 48, "gqa": 24, "mqa": 12, "mla": 14}[name[:3]]
    result = run(model, "The old king sat.")
    assert result.tokens.special[0] and result.logits.shape == (len(result.tokens), 300)


def test_titles_name_attention_and_encoding(trained):
    titles = [sibling.load(trained.output / name, CPU, torch.float32).title for name in ("mha-rope", "mla-none")]
    assert titles == ["MHA · RoPE", "MLA · None"]


def test_the_card_says_how_a_sibling_was_made(trained):
    card = json.loads((trained.output / "gqa-sinusoidal" / "card.json").read_text())
    assert card["tokens_seen"] == 12 * 4 * 128 and card["parameters"] == 9488
    assert set(card["corpus"]) == {"train", "valid"} and len(card["corpus"]["train"]["sha256"]) == 64
    assert card["command"].startswith("python -m training.run --preset tiny --corpus corpus.txt --valid valid.txt")
    assert str(trained.folder) not in json.dumps(card)
    assert len(card["loss_curve"]["step"]) == 12 and card["validation_loss"] > 0
    assert [len(layer) for layer in card["heads"]["previous_token"]] == [4, 4]
    assert len(card["samples"]) == len(evaluate.OPENINGS) + len(evaluate.SAMPLED)
    assert all(text.startswith(evaluate.OPENINGS) for text in card["samples"].values())
    assert set(card["templates"]) == set(templates.SETS) and set(card["loss_by_kind"]) >= {"all"}
    assert isinstance(card["repeated_passage"], float)
    assert card["pronouns"]["winogender"]["chance"] == 0.5


def test_evaluating_again_reproduces_cards_and_table(trained, capsys):
    before = {path: path.read_bytes() for path in trained.output.rglob("*.json")}
    places = ["--work", str(trained.work), "--output", str(trained.output), "--coref", str(trained.coref)]
    assert evaluate.main(["--preset", "tiny", "--only", "mla-rope", *places]) == 0
    assert {path: path.read_bytes() for path in trained.output.rglob("*.json")} == before
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in TWELVE) and "trigram" in printed and "3 seed(s)" in printed


def test_the_spread_over_seeds_is_their_standard_deviation(trained):
    spread = json.loads((trained.output / "table.json").read_text())["seeds"]
    assert spread["seeds"] == [0, 1, 2] and len(set(spread["validation_loss"])) == 3
    assert spread["standard_deviation"] == pytest.approx(torch.tensor(spread["validation_loss"]).std().item(), abs=1e-4)


@pytest.fixture
def copy(trained, tmp_path):
    """One shipped sibling that may be damaged."""
    folder = tmp_path / "mha-rope"
    folder.mkdir()
    for path in (trained.output / "mha-rope").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (tmp_path / "tokenizer.json").write_bytes((trained.output / "tokenizer.json").read_bytes())
    return folder


def damage_config(folder, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"attention": "linear"}, "the attention 'linear'; siblings have mha, gqa, mqa, mla"),
        ({"position": "alibi"}, "the position 'alibi'; siblings have none, sinusoidal, rope"),
        ({"d_ff": 25}, r"gate_proj.weight has shape \(24, 16\), not \(25, 16\)"),
        ({"n_layers": 3}, "no tensor 'layers.2"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(changes, told, copy):
    damage_config(copy, **changes)
    with pytest.raises(CheckpointError, match=told):
        sibling.load(copy, CPU, torch.float32)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_damaged_files_are_refused(name, copy):
    whole = (copy / name).read_bytes()
    for content in (b"", whole[: len(whole) // 2]):
        (copy / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name):
            sibling.load(copy, CPU, torch.float32)


def test_a_missing_key_is_named(copy):
    config = json.loads((copy / "config.json").read_text())
    del config["embedding_multiplier"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="embedding_multiplier"):
        sibling.load(copy, CPU, torch.float32)


def test_the_embedding_is_multiplied_at_the_input_alone(copy):
    model = sibling.load(copy, CPU, torch.float32)
    torch.testing.assert_close(model.embedding, model.head * 16**0.5)
