"""A Llama of two layers as a GGUF file, small enough to convert in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from tokenizers.pre_tokenizers import ByteLevel

D_MODEL, N_HEADS, N_KV_HEADS, HEAD_DIM, HIDDEN, N_LAYERS = 64, 4, 2, 16, 96, 2
VOCABULARY = ["<|endoftext|>", *sorted(ByteLevel.alphabet()), "he", "ll", "hell", "12"]
MERGES = ["h e", "l l", "he ll", "1 2"]


def tensors() -> dict[str, np.ndarray]:
    """GGUF name -> values [out, in] in float32, random but always the same."""
    numbers = np.random.default_rng(0)
    q, kv = N_HEADS * HEAD_DIM, N_KV_HEADS * HEAD_DIM
    layer = {
        "attn_q": (q, D_MODEL), "attn_k": (kv, D_MODEL), "attn_v": (kv, D_MODEL), "attn_output": (D_MODEL, q),
        "ffn_gate": (HIDDEN, D_MODEL), "ffn_up": (HIDDEN, D_MODEL), "ffn_down": (D_MODEL, HIDDEN),
        "attn_norm": (D_MODEL,), "ffn_norm": (D_MODEL,),
    }  # fmt: skip
    shapes = {"token_embd.weight": (len(VOCABULARY), D_MODEL), "output_norm.weight": (D_MODEL,)}
    shapes |= {f"blk.{i}.{name}.weight": shape for i in range(N_LAYERS) for name, shape in layer.items()}
    return {name: numbers.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def write(
    path: Path, values: Mapping[str, np.ndarray], *, architecture: str = "llama", pre: str = "smollm",
    quantized: tuple[str, ...] = ("attn_q", "ffn_up"),
) -> Path:  # fmt: skip
    """The file at `path`; tensors whose names hold one of `quantized` are stored as Q8_0, others as float32."""
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(128)
    writer.add_embedding_length(D_MODEL)
    writer.add_block_count(N_LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(N_HEADS)
    writer.add_head_count_kv(N_KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(VOCABULARY))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(VOCABULARY)
    writer.add_token_types([3] + [1] * (len(VOCABULARY) - 1))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, value in values.items():
        if any(part in name for part in quantized):
            q8 = GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(value, q8), raw_dtype=q8)
        else:
            writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
