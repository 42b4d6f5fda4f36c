"""A GGUF file becomes a folder: every number in its place, all or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors.numpy import load_file

from headlight import run
from headlight.core.checkpoints import llama
from headlight.core.checkpoints.folder import Weights
from headlight.core.checkpoints.gguf_llama import convert
from headlight.core.errors import CheckpointError
from headlight.core.model import Model
from tests.core.checkpoints import tiny_llama
from tests.core.checkpoints.tiny_llama import HEAD_DIM, N_HEADS, N_KV_HEADS


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    return tiny_llama.tensors()


@pytest.fixture
def source(tmp_path, values) -> Path:
    return tiny_llama.write(tmp_path / "tiny.gguf", values)


def _load(folder: Path) -> Model:
    weights = Weights.from_file(folder / "model.safetensors", torch.device("cpu"), torch.float32)
    return llama.load(folder, weights, "tiny", "Tiny")


def _halves(rows: np.ndarray, n_heads: int) -> np.ndarray:
    # Within each head the rows a0 b0 a1 b1 … become a0 a1 … b0 b1 …
    order = [head * HEAD_DIM + i for head in range(n_heads) for first in (0, 1) for i in range(first, HEAD_DIM, 2)]
    return rows[order]


def test_rows_of_q_and_k_go_back_from_pairs_to_halves_and_nothing_else_moves(source, values, tmp_path):
    q8 = GGMLQuantizationType.Q8_0
    rounded = {n: dequantize(quantize(v, q8), q8) if "attn_q" in n or "ffn_up" in n else v for n, v in values.items()}
    written = load_file(convert(source, tmp_path / "folder") / "model.safetensors")
    assert len(written) == len(values)
    np.testing.assert_array_equal(written["model.embed_tokens.weight"], rounded["token_embd.weight"])
    np.testing.assert_array_equal(written["model.norm.weight"], rounded["output_norm.weight"])
    for i in range(tiny_llama.N_LAYERS):
        ours, theirs = f"model.layers.{i}.", f"blk.{i}."
        for name, expected in {
            "self_attn.q_proj": _halves(rounded[theirs + "attn_q.weight"], N_HEADS),
            "self_attn.k_proj": _halves(rounded[theirs + "attn_k.weight"], N_KV_HEADS),
            "self_attn.v_proj": rounded[theirs + "attn_v.weight"],
            "self_attn.o_proj": rounded[theirs + "attn_output.weight"],
            "mlp.gate_proj": rounded[theirs + "ffn_gate.weight"],
            "mlp.up_proj": rounded[theirs + "ffn_up.weight"],
            "mlp.down_proj": rounded[theirs + "ffn_down.weight"],
            "input_layernorm": rounded[theirs + "attn_norm.weight"],
            "post_attention_layernorm": rounded[theirs + "ffn_norm.weight"],
        }.items():
            np.testing.assert_array_equal(written[f"{ours}{name}.weight"], expected, err_msg=name)


def test_a_converted_folder_is_a_model_that_runs(source, tmp_path):
    model = _load(convert(source, tmp_path / "folder"))
    result = run(model, "hello! 12")
    assert result.tokens.pieces == ("hell", "o", "!", " ", "1", "2")
    assert result.logits.shape == (6, len(tiny_llama.VOCABULARY))
    assert model.head is model.embedding
    assert (model.context, model.position.theta, model.attention.n_kv_heads) == (128, 10_000.0, N_KV_HEADS)


def test_every_digit_is_a_token_though_the_vocabulary_has_longer_numbers(source, tmp_path):
    tokenizer = _load(convert(source, tmp_path / "folder")).tokenizer
    assert "12" in tiny_llama.VOCABULARY
    assert tokenizer.encode("he12").pieces == ("he", "1", "2")


def test_a_head_of_its_own_is_read_where_the_file_has_one(tmp_path, values):
    head = np.full((len(tiny_llama.VOCABULARY), tiny_llama.D_MODEL), 0.5, np.float32)
    source = tiny_llama.write(tmp_path / "tiny.gguf", values | {"output.weight": head})
    model = _load(convert(source, tmp_path / "folder"))
    assert torch.equal(model.head, torch.from_numpy(head))


def test_progress_goes_from_0_to_1_and_says_what_is_done(source, tmp_path):
    seen: list[tuple[float, str]] = []
    convert(source, tmp_path / "folder", lambda done, what: seen.append((done, what)))
    shares = [done for done, _ in seen]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] == 1
    assert [what for _, what in seen[:2] + seen[-1:]] == ["reading the tokenizer", "unpacking the weights", "ready"]


@pytest.mark.parametrize("moment", ["reading the tokenizer", "unpacking the weights", "ready"])
def test_a_conversion_that_fails_midway_leaves_nothing_behind_and_the_next_one_succeeds(source, tmp_path, moment):
    def interrupt(done: float, what: str) -> None:
        if what == moment and done not in (0.0,):
            raise KeyboardInterrupt

    cache = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        convert(source, cache / "folder", interrupt)
    assert list(cache.iterdir()) == []
    assert _load(convert(source, cache / "folder")).n_layers == 2
    assert [entry.name for entry in cache.iterdir()] == ["folder"]


def test_a_second_process_that_was_slower_uses_the_files_of_the_first(source, tmp_path):
    folder = tmp_path / "folder"
    first = (convert(source, folder) / "model.safetensors").stat().st_mtime_ns
    assert convert(source, folder) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == first
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "tiny.gguf"]


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    (tmp_path / "note.gguf").write_text("these are not weights")
    with pytest.raises(CheckpointError, match=r"^note\.gguf is no readable GGUF file"):
        convert(tmp_path / "note.gguf", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.3, 0.6, 0.9, 0.999])
def test_a_gguf_file_that_is_cut_short_is_refused_and_leaves_nothing_behind(source, tmp_path, share):
    whole = source.read_bytes()
    source.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"tiny\.gguf"):
        convert(source, tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.gguf"]


def test_a_model_of_another_kind_is_refused(tmp_path, values):
    source = tiny_llama.write(tmp_path / "other.gguf", values, architecture="mamba")
    with pytest.raises(CheckpointError, match=r"^other\.gguf holds a mamba model, not a Llama one$"):
        convert(source, tmp_path / "folder")


def test_an_unknown_pre_tokenizer_is_refused(tmp_path, values):
    source = tiny_llama.write(tmp_path / "tiny.gguf", values, pre="qwen2")
    with pytest.raises(CheckpointError, match=r"^unknown pre-tokenizer 'qwen2'; 'smollm' is supported$"):
        convert(source, tmp_path / "folder")


def test_a_tensor_that_no_llama_has_is_refused(tmp_path, values):
    stranger = {"blk.0.attn_sinks.weight": np.zeros(4, np.float32)}
    source = tiny_llama.write(tmp_path / "tiny.gguf", values | stranger)
    with pytest.raises(CheckpointError, match=r"a tensor 'blk\.0\.attn_sinks\.weight' that a Llama model does not"):
        convert(source, tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.gguf"]


def test_the_configuration_of_smollm2_is_written_as_transformers_writes_it(source, tmp_path):
    config = json.loads((convert(source, tmp_path / "folder") / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]) == (64, 4, 2)
    assert (config["rope_theta"], config["tie_word_embeddings"]) == (10_000.0, True)
    assert config["rms_norm_eps"] == pytest.approx(1e-5)
