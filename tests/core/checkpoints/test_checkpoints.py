"""Weights that are missing, damaged or misshapen, and the kept copy of SmolLM2."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from headlight import load_model, run
from headlight.core.checkpoints import bert, llama, pretrained
from headlight.core.checkpoints.folder import Weights, read_config
from headlight.core.checkpoints.packages import find_file, installed
from headlight.core.errors import CheckpointError, MissingModelError
from tests.core.checkpoints import tiny_llama

CPU = torch.device("cpu")
COMMAND = "headlight models --install"


@pytest.fixture
def small_smollm2(monkeypatch, tmp_path) -> Path:
    """SmolLM2 replaced by a tiny GGUF file, and a cache folder of its own; returns where the copy will be kept."""
    source = tiny_llama.write(tmp_path / "tiny.gguf", tiny_llama.tensors())
    monkeypatch.setattr(pretrained, "find_file", lambda package, suffix: source)
    monkeypatch.setattr(pretrained, "installed_version", lambda package: "9.9")
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "smollm2-9.9-1"


@pytest.fixture
def folder(small_smollm2) -> Path:
    """The tiny model, converted."""
    return pretrained.smollm2_folder()


@pytest.mark.parametrize(("model", "constant"), [("minilm", "MINILM_PACKAGE"), ("smollm2", "SMOLLM2_PACKAGE")])
def test_a_missing_package_is_reported_with_the_command_that_brings_it(monkeypatch, model, constant):
    monkeypatch.setattr(pretrained, constant, "no-such-package-of-weights")
    with pytest.raises(MissingModelError, match=rf"^the package no-such-package-of-weights is not .*{COMMAND}"):
        load_model(model, "cpu")


def test_a_package_without_the_file_is_reported_with_the_command_that_brings_it_again():
    with pytest.raises(MissingModelError, match=rf"^the package pytest holds no \.gguf; .*{COMMAND}"):
        find_file("pytest", ".gguf")
    assert installed("pytest")
    assert not installed("no-such-package-of-weights")


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, b'{"not": "safetensors"}'])
def test_a_damaged_weight_file_is_refused(tmp_path, damage):
    (tmp_path / "model.safetensors").write_bytes(damage)
    with pytest.raises(CheckpointError, match=r"^model\.safetensors is damaged or unreadable"):
        Weights.from_file(tmp_path / "model.safetensors", CPU, torch.float32)


def test_a_weight_file_that_is_cut_short_is_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CheckpointError, match=r"^model\.safetensors is damaged or unreadable"):
        Weights.from_file(path, CPU, torch.float32)


def test_a_weight_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"^model\.safetensors is damaged or unreadable"):
        Weights.from_file(tmp_path / "model.safetensors", CPU, torch.float32)


@pytest.mark.parametrize("content", [None, "", "{", "[1, 2]", "\x00"])
def test_a_damaged_configuration_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"^config\.json "):
        read_config(tmp_path)


def _load(folder: Path, change: dict[str, np.ndarray | None]):
    tensors = load_file(folder / "model.safetensors") | change
    kept = {name: torch.from_numpy(value) for name, value in tensors.items() if value is not None}
    return llama.load(folder, Weights(kept, CPU, torch.float32), "tiny", "Tiny")


def test_a_missing_tensor_is_named(folder):
    with pytest.raises(
        CheckpointError, match=r"^the checkpoint has no tensor 'model\.layers\.1\.mlp\.up_proj\.weight'$"
    ):
        _load(folder, {"model.layers.1.mlp.up_proj.weight": None})


def test_a_misshapen_tensor_is_named_with_both_shapes(folder):
    with pytest.raises(CheckpointError, match=r"^layer 1: k_proj\.weight has shape \(64, 64\), not \(32, 64\)$"):
        _load(folder, {"model.layers.1.self_attn.k_proj.weight": np.zeros((64, 64), np.float32)})


@pytest.mark.parametrize("change", [{"hidden_act": "gelu"}, {"rope_scaling": {"rope_type": "yarn"}}])
def test_a_llama_that_this_loader_does_not_read_is_refused(folder, change):
    _configure(folder, change)
    with pytest.raises(CheckpointError, match="Tiny is no plain Llama: SwiGLU and unscaled RoPE"):
        _load(folder, {})


@pytest.mark.parametrize(("heads", "kind"), [(1, "MQA"), (2, "GQA"), (4, "MHA")])
def test_the_number_of_kv_heads_names_the_variant(folder, heads, kind):
    _configure(folder, {"num_key_value_heads": heads})
    rows = np.zeros((heads * tiny_llama.HEAD_DIM, tiny_llama.D_MODEL), np.float32)
    names = [f"model.layers.{i}.self_attn.{name}_proj.weight" for i in range(2) for name in "kv"]
    model = _load(folder, dict.fromkeys(names, rows))
    assert type(model.attention).__name__ == kind
    assert run(model, "hello").layers[1].n_kv_heads == heads


@pytest.mark.parametrize("change", [{"hidden_act": "relu"}, {"position_embedding_type": "relative_key"}])
def test_a_bert_that_this_loader_does_not_read_is_refused(tmp_path, change):
    path = find_file(pretrained.MINILM_PACKAGE, "model/model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(path.parent / name, tmp_path / name)
    _configure(tmp_path, change)
    with pytest.raises(CheckpointError, match="MiniLM is no plain BERT: GELU and absolute positions"):
        bert.load(tmp_path, Weights.from_file(path, CPU, torch.float32), "minilm", "MiniLM")


def _configure(folder: Path, change: dict) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))


def test_smollm2_is_converted_once_and_then_kept(small_smollm2, monkeypatch):
    said: list[str] = []
    first = load_model("smollm2", "cpu", progress=lambda done, what: said.append(what))
    assert said
    kept = ["checksums.json", "config.json", "model.safetensors", "tokenizer.json"]
    assert sorted(p.name for p in small_smollm2.iterdir()) == kept
    monkeypatch.setattr(pretrained.gguf_llama, "convert", lambda *args: pytest.fail("converted again"))
    again = load_model("smollm2", "cpu")
    assert torch.equal(first.embedding, again.embedding)


def test_a_new_version_of_the_package_is_converted_anew(small_smollm2, monkeypatch):
    load_model("smollm2", "cpu")
    monkeypatch.setattr(pretrained, "installed_version", lambda package: "10.0")
    load_model("smollm2", "cpu")
    assert sorted(p.name for p in small_smollm2.parent.iterdir()) == ["smollm2-10.0-1", "smollm2-9.9-1"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_a_damaged_kept_copy_of_smollm2_is_made_again(folder, name, damage):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"\x00" * len(whole))
    assert run(load_model("smollm2", "cpu"), "hello!").tokens.pieces == ("hell", "o", "!")
    assert (folder / name).read_bytes() == whole


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_kept_copy_that_lacks_a_file_is_made_again(folder, name):
    (folder / name).unlink()
    assert run(load_model("smollm2", "cpu"), "hello!").tokens.pieces == ("hell", "o", "!")
    assert (folder / name).exists()


def test_a_kept_copy_with_a_misshapen_tensor_is_made_again(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"model.layers.0.self_attn.q_proj.weight": np.zeros((3, 5), np.float32)},
              folder / "model.safetensors")  # fmt: skip
    assert load_model("smollm2", "cpu").n_layers == 2


def test_a_kept_copy_that_lacks_its_weights_is_made_again_and_kept(folder):
    (folder / "model.safetensors").unlink()
    load_model("smollm2", "cpu")
    assert (folder / "model.safetensors").exists()


def test_a_kept_copy_whose_configuration_lacks_a_key_is_made_again(folder):
    (folder / "config.json").write_text("{}")
    assert load_model("smollm2", "cpu").n_layers == 2


def test_a_misshapen_tensor_outside_the_attention_is_named(folder):
    with pytest.raises(CheckpointError, match=r"up_proj\.weight has shape \(3, 5\), not \(96, 64\)"):
        _load(folder, {"model.layers.1.mlp.up_proj.weight": np.zeros((3, 5), np.float32)})


def test_a_cache_folder_that_cannot_be_written_costs_only_time(small_smollm2, monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert load_model("smollm2", "cpu").n_layers == 2
    assert len(list((tmp_path / "temporary").glob("headlight-*/smollm2-9.9-1/model.safetensors"))) == 1


def test_the_cache_folder_is_the_users_unless_the_environment_says_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("HEADLIGHT_CACHE", raising=False)
    assert pretrained.cache_folder().name == "headlight"
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    assert pretrained.cache_folder() == tmp_path
