"""`headlight.kv_cache` and `headlight kv`: the answer, what fits, and the sentence where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headlight.command import main
from headlight.core.errors import ConfigError, InputError, UnknownNameError, UnsupportedModelError
from headlight.core.memory.engines.answer import Gpu, kv_cache
from headlight.core.memory.engines.per_gpu import elements_on_gpu, stage
from headlight.core.memory.shape import CachePart, of_heads

LLAMA = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "dtype": "bfloat16",
}
MLA = {
    "num_hidden_layers": 61, "num_attention_heads": 128, "hidden_size": 7168, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "dtype": "bfloat16",
}  # fmt: skip


def test_a_model_may_be_fields_a_text_a_file_a_folder_or_a_name(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(LLAMA))
    ways = [LLAMA, json.dumps(LLAMA), file, str(tmp_path), "llama-3-1-8b"]
    assert {kv_cache(model, context=1000).bytes for model in ways} == {131_072_000}


def test_heads_are_divided_and_then_repeated_and_latents_are_on_every_gpu() -> None:
    sizes = [kv_cache(LLAMA, context=16, tp=tp).bytes_per_gpu for tp in (1, 8, 16)]
    assert sizes == [16 * 131_072, 16 * 16_384, 16 * 16_384]
    assert kv_cache(MLA, context=16, tp=8).bytes_per_gpu == kv_cache(MLA, context=16).bytes_per_gpu == 16 * 70_272
    assert kv_cache(MLA, context=16, cp=8).bytes_per_gpu == 2 * 70_272
    assert kv_cache(LLAMA, context=16, pp=3).bytes_per_gpu == 16 * 11 * 4096


def test_a_shared_prefix_is_kept_once() -> None:
    assert kv_cache(LLAMA, context=100, sequences=5, prefix=60).bytes_per_gpu == (60 + 5 * 40) * 131_072


def test_what_fits_on_a_gpu() -> None:
    answer = kv_cache(LLAMA, context=8192, gpu=Gpu(24 * 10**9, 1.0, weights=16 * 10**9))
    assert (answer.room, answer.tokens_that_fit, answer.sequences_that_fit) == (8 * 10**9, 61_035, 7)


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        ({"is_encoder_decoder": True}, UnsupportedModelError, "encoder-decoder"),
        ("no such model", UnknownNameError, "is called"),
        ("somebody/something", InputError, "there is no file"),
        (LLAMA, ConfigError, "how long its context is"),
    ],
)
def test_what_cannot_be_is_refused(model: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        kv_cache(model)


def test_heads_that_cannot_be_spread_are_refused() -> None:
    with pytest.raises(ConfigError, match="8 KV heads cannot be spread evenly over 3 GPUs"):
        elements_on_gpu(CachePart("k", "keys", 128, 8), 3)
    with pytest.raises(ConfigError, match="pp"):
        stage(of_heads(4, 1, 1, 1), 5)
    with pytest.raises(UnknownNameError, match="no engine is called 'x'; there are none, pages, vllm"):
        kv_cache(LLAMA, context=1, engine="x")


def test_the_command_answers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                "kv",
                json.dumps(LLAMA),
                "--context",
                "131072",
                "--sequences",
                "16",
                "--tp",
                "8",
                "--engine",
                "vllm",
                "--json",
            ]
        )
        == 0
    )
    answer = json.loads(capsys.readouterr().out)
    assert answer["bytes"] == 16 * 131_072 * 131_072 == 8 * answer["bytes_per_gpu"]
    assert answer["formula"] == "32 × 8 × (128 + 128) × 131,072 × 2 B × 16"


def test_the_command_says_what_is_refused_and_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kv", '{"model_type": "mamba", "num_hidden_layers": 4}']) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("headlight kv: this is a state-space or recurrent model")


def test_the_command_says_what_was_taken_for_granted(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["kv", json.dumps(LLAMA | {"kv_pool_heads": 3, "num_nextn_predict_layers": 1}), "--context", "100"]) == 0
    )
    told = capsys.readouterr().out
    assert (
        "note: Layers that only predict further tokens" in told
        and "not understood, and it might matter: kv_pool_heads" in told
    )


def test_the_command_imports_no_torch() -> None:
    """Nor anything else that is large: the answer is to come within 300 ms."""
    kv = "main(['kv', 'llama-3-1-8b', '--context', '9'])"
    code = f"import sys; from headlight.command import main; {kv}; print([*sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pydantic", "streamlit", "plotly", "transformers"} & set(
        eval(run.stdout.splitlines()[-1])
    )
