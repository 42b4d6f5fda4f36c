"""Checkpoints that are damaged, too large, or made to harm: one clear error, no code run, nothing half loaded."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from headlight.core.errors import (
    CheckpointError,
    HeadlightError,
    InputError,
    MissingModelError,
    UnsupportedModelError,
)
from headlight.core.hub.load import load
from headlight.core.loading import load_model
from headlight.core.serving.engine import Engine
from tests.hub.checkpoints import READ, TEXT, write

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, READ["llama, GQA"]())
    return tmp_path


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refuse(folder: Path, kind: type[HeadlightError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        load(str(folder), CPU)
    assert "\n" not in str(caught.value)


class _Trap:
    """Unpickled, it would make a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.ckpt"])
def test_pickled_weights_are_refused_and_not_opened(folder, name):
    mark = folder / "code-was-run"
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(_Trap(mark)))
    refuse(folder, UnsupportedModelError, "safetensors only")
    assert not mark.exists()


def test_a_pickle_that_calls_itself_safetensors_is_not_opened_as_one(folder):
    mark = folder / "code-was-run"
    (folder / "model.safetensors").write_bytes(pickle.dumps(_Trap(mark)))
    refuse(folder, CheckpointError, "damaged")
    assert not mark.exists()


def test_code_that_comes_with_a_checkpoint_is_never_run(folder):
    mark = folder / "code-was-run"
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(mark)!r})\nclass Config: pass\nclass Model: pass\n")
    auto_map = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    change_config(folder, model_type="unheard-of", auto_map=auto_map, architectures=["Model"])
    refuse(folder, UnsupportedModelError, "code that comes with a checkpoint is never run")
    change_config(folder, model_type="llama")  # known to transformers: its own class is taken, not the checkpoint's
    load(str(folder), CPU)
    assert not mark.exists()


@pytest.mark.parametrize("keep", [0, 7, 200, -100])
def test_a_truncated_file_is_named(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    refuse(folder, CheckpointError, "model.safetensors is damaged")


def test_wrong_shapes_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.self_attn.k_proj.weight"
    save_file(tensors | {name: tensors[name][:-1].contiguous()}, folder / "model.safetensors", {"format": "pt"})
    refuse(folder, CheckpointError, "cannot load it|lack")


def test_a_missing_tensor_is_refused_instead_of_being_made_up(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.self_attn.v_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    refuse(folder, CheckpointError, r"lack 1 of the model's tensors, .*layers\.1\.self_attn\.v_proj")


def test_weights_that_are_not_finite_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    refuse(folder, CheckpointError, "not finite")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_hidden_layers": 10_000_000}, "10,000,000, but the files hold"),
        ({"hidden_size": 10**12}, "no sensible size"),
        ({"vocab_size": 2_000_000_000}, "parameters; 2,000,000,000 are the limit"),
        ({"intermediate_size": 2_000_000_000}, "the limit"),
        ({"num_attention_heads": 0}, "cannot load it"),
        ({"num_key_value_heads": 5}, "cannot load it|lack"),
        ({"hidden_act": "__import__('os').system('true')"}, "cannot load it"),
        ({"model_type": ["llama"]}, "names no model_type"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantised"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": "a lot", "rope_theta": 1e4}}, "cannot load it"),
    ],
)
def test_a_config_is_checked_before_it_is_believed(folder, changes, words):
    change_config(folder, **changes)
    refuse(folder, CheckpointError, words)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"model_type": 1' + "0" * 5000 + "}"])
def test_a_config_that_is_no_config_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    refuse(folder, CheckpointError, "config.json")


def test_a_config_of_many_megabytes_is_not_read(folder):
    change_config(folder, filler="x" * 5_000_000)
    refuse(folder, CheckpointError, "are the limit")


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "model.bin"])
def test_an_index_cannot_reach_out_of_its_folder(folder, name):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": name}}))
    refuse(folder, CheckpointError, "no safetensors file of this folder")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'])
def test_an_index_that_is_no_index_is_refused(folder, text):
    (folder / "model.safetensors.index.json").write_text(text)
    refuse(folder, CheckpointError, "index")


def test_a_missing_shard_is_named(folder):
    names = {"weight_map": {"lm_head.weight": "model-00001-of-00001.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(names))
    refuse(folder, CheckpointError, "model-00001-of-00001.safetensors is missing")


def test_an_adapter_is_no_model(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/else"}')
    refuse(folder, UnsupportedModelError, "adapter")


def test_a_checkpoint_without_tokenizer_or_with_a_foreign_one_is_refused(folder):
    path = folder / "tokenizer.json"
    words = json.loads(path.read_text())
    words["model"]["vocab"]["one too many"] = 61
    path.write_text(json.dumps(words))
    refuse(folder, CheckpointError, "62 entries, the model 61")
    path.write_text("{}")
    refuse(folder, CheckpointError, "tokenizer")
    path.unlink()
    refuse(folder, UnsupportedModelError, "no tokenizer.json")


def test_the_limit_of_parameters_can_be_set(folder, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_MAX_PARAMETERS", "1000")
    refuse(folder, UnsupportedModelError, "1,000 are the limit here")
    monkeypatch.setenv("HEADLIGHT_MAX_PARAMETERS", "many")
    refuse(folder, HeadlightError, "whole number")


@pytest.mark.parametrize("name", ["no/such-model", "no such model/x", "../../no-such", "/no/such/folder", "a/b/c"])
def test_what_is_not_there_is_said_in_one_sentence(name):
    with pytest.raises(MissingModelError) as caught:
        load_model(name, "cpu")
    assert "\n" not in str(caught.value)


def test_without_the_optional_packages_the_command_that_brings_them_is_named(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingModelError, match="pip install transformers huggingface_hub"):
        load(str(folder), CPU)


def test_an_engine_offers_what_its_operator_names_and_nothing_else(folder):
    engine = Engine("cpu", own_models=[str(folder)])
    assert len(engine.run(str(folder), TEXT).tokens) == 29
    with pytest.raises(InputError, match="models of its menu only"):
        engine.add("somebody/else")


def test_a_checkpoint_that_fails_to_load_is_not_offered(folder):
    engine = Engine("cpu", any_model=True)
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError):
        engine.add(str(folder))
    assert str(folder) not in engine.rows and not engine.loaded(str(folder))
