"""Sizes that engines and their authors reported, each with its source, against the rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headlight.core.memory.engines.per_gpu import Formats
from headlight.core.memory.engines.rules import ENGINES, Serving, one_table, vllm
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.shape import CacheShape, Heads, LayerGroup, MLADims, of_heads, of_mla

GIB, MIB = 2**30, 2**20
BF16, FP8 = Formats(), Formats(PRECISIONS["fp8"], deepseek=True)
QWEN3_235B = of_heads(94, n_heads=64, n_kv_heads=4, head_dim=128)
GEMMA4_31B = CacheShape("", 60, 32, (LayerGroup(50, Heads(16, 256, 256), 1024), LayerGroup(10, Heads(4, 512, 512))))
GEMMA3_270M = CacheShape("", 18, 4, (LayerGroup(15, Heads(1, 256, 256), 512), LayerGroup(3, Heads(1, 256, 256))))
V32 = replace(of_mla(61, 128, MLADims(512, 128, 64, 128)), indexer_dim=128)
GLM_5_2 = replace(of_mla(78, 64, MLADims(512, 192, 64, 256)), indexer_dim=128, indexer_layers=21)


def test_sglang_qwen3_235b_at_tp4() -> None:
    """vllm-project/vllm#21348: "#tokens: 367404, K size: 8.23 GB, V size: 8.23 GB" (GiB) on each of 4 H100s."""
    size = ENGINES["sglang"].bytes_on_gpu(QWEN3_235B, Serving(367_404, tp=4), BF16)
    assert round(size / 2 / GIB, 2) == 8.23


def test_vllm_qwen3_235b_at_tp4() -> None:
    """The same report: 8.11 GiB hold 178,880 tokens. The formula's bytes are 1.1% less, which vLLM keeps elsewhere."""
    size = ENGINES["vllm"].bytes_on_gpu(QWEN3_235B, Serving(178_880, tp=4), BF16)
    assert 0.988 < size / (8.11 * GIB) < 0.99


def test_tensorrt_llm_llama_2_7b() -> None:
    """NVIDIA/TensorRT-LLM#1400: "Allocate 69524783104 bytes for k/v cache", "Using 132608 tokens"."""
    llama = of_heads(32, n_heads=32, n_kv_heads=32, head_dim=128)
    assert ENGINES["pages"].bytes_on_gpu(llama, Serving(132_608), BF16) == 69_524_783_104


def test_vllm_before_0_21_gives_all_layers_of_gemma_4_the_largest_page() -> None:
    """24.54 GiB held 26,800 tokens of Gemma 4 31B: 60 layers x 16 x (256 + 256) x 2 B a token."""
    assert one_table(GEMMA4_31B, Serving(26_800), BF16) / GIB == pytest.approx(24.54, abs=0.005)


def test_vllm_since_0_21_keeps_a_window_and_the_tokens_in_flight() -> None:
    """Gemma 4 31B at 262,144 tokens: 108.2 KiB a token with max_num_batched_tokens 8,192."""
    size = ENGINES["vllm"].bytes_on_gpu(GEMMA4_31B, Serving(262_144), BF16)
    assert size / 262_144 / 1024 == pytest.approx(108.2, abs=0.05)


def test_vllm_on_gemma_4_holds_about_ten_times_as_many_tokens_since_0_21() -> None:
    """vllm-project/vllm#43308: about 50 GB held 55k tokens in 0.20 and 525k in 0.21."""
    room = 50 * GIB
    assert room / (one_table(GEMMA4_31B, Serving(16), BF16) / 16) == pytest.approx(55_000, rel=0.01)
    per_token = ENGINES["vllm"].bytes_on_gpu(GEMMA4_31B, Serving(262_144, batched=2048), BF16) / 262_144
    assert room / per_token == pytest.approx(525_000, rel=0.15)  # its max_num_batched_tokens is not told


def test_deepseek_v3_2_in_its_own_fp8_rows() -> None:
    """FlashMLA's layout, 656 bytes a row and 132 of index: 61 x 656 = 40,016 and 61 x 132 = 8,052 a token, on every GPU."""
    size = ENGINES["vllm"].bytes_on_gpu(V32, Serving(16, tp=8), FP8)
    assert size == 16 * (40_016 + 8_052)


def test_glm_5_2_has_indexers_in_21_of_78_layers() -> None:
    """21 x 128 x 2 B at 2^20 tokens: 5.64 GB, not 20.94."""
    both, without = (
        ENGINES["none"].bytes_on_gpu(s, Serving(2**20), BF16) for s in (GLM_5_2, replace(GLM_5_2, indexer_dim=0))
    )
    assert both - without == 5_637_144_576


@pytest.mark.parametrize(("slots", "cells", "mib"), [(3, 1536, 27.0), (4, 1024, 18.0)])
def test_llama_cpp_rounds_each_sequence_up(slots: int, cells: int, mib: float) -> None:
    """unslothai/unsloth#7530, measured with llama.cpp 10107 on Gemma 3 270M: 1,024 tokens shared by slots."""
    size = ENGINES["llama.cpp"].bytes_on_gpu(GEMMA3_270M, Serving(1024 // slots, slots), BF16)
    assert size == mib * MIB == cells * 18 * 1024


def test_llama_cpp_keeps_a_window_and_a_batch() -> None:
    """ggml-org/llama.cpp, llama-kv-cache-iswa.cpp: pad(min(size, n_swa + n_ubatch), 256)."""
    gemma = replace(GEMMA3_270M, groups=GEMMA3_270M.groups[:1], n_layers=15)
    assert ENGINES["llama.cpp"].bytes_on_gpu(gemma, Serving(32_768), BF16) == 1024 * 15 * 1024


@pytest.mark.parametrize(("layers", "kv_heads", "gib"), [(32, 8, 0.125), (80, 8, 0.3125), (126, 16, 0.984)])
def test_llama_3_1_at_1024_tokens(layers: int, kv_heads: int, gib: float) -> None:
    """huggingface.co/blog/llama31, "KV cache size for FP16", 1k tokens: 0.125, 0.313 and 0.984 GB (GiB).

    405B was first published with each KV head twice (16, for 16 GPUs); today's file has 8 and takes half.
    """
    llama = of_heads(layers, n_heads=128, n_kv_heads=kv_heads, head_dim=128)
    assert ENGINES["none"].bytes_on_gpu(llama, Serving(1024), BF16) / GIB == pytest.approx(gib, abs=0.001)


@pytest.mark.parametrize(
    ("name", "part"), [("q8_0", 8.5 / 16), ("q4_0", 4.5 / 16), ("q5_1", 6 / 16), ("nvfp4", 4.5 / 16)]
)
def test_block_formats_count_their_scales(name: str, part: float) -> None:
    """llama.cpp's blocks of 32 (ggml-common.h: block_q8_0, block_q4_0, block_q5_1); NVFP4's of 16 with an fp8 scale."""
    sizes = [
        ENGINES["llama.cpp"].bytes_on_gpu(QWEN3_235B, Serving(8192), Formats(PRECISIONS[n])) for n in (name, "bf16")
    ]
    assert sizes[0] / sizes[1] == part


def test_keys_and_values_may_be_kept_otherwise_and_windows_left_alone() -> None:
    mixed = Formats(PRECISIONS["q8_0"], PRECISIONS["q4_0"])
    assert float(mixed.row_bytes(LayerGroup(1, Heads(1, 32, 32)))) == 34 + 18
    left = Formats(PRECISIONS["fp8"], windows=PRECISIONS["bf16"])
    assert [float(left.row_bytes(LayerGroup(1, Heads(1, 32, 32), window))) for window in (None, 8)] == [64, 128]


def test_a_window_takes_no_more_than_the_context() -> None:
    group = LayerGroup(1, Heads(1, 1, 1), 1024)
    assert vllm(group, Serving(100)) == 128  # seven pages and one more
    assert vllm(replace(group, chunked=True), Serving(100)) == 112
