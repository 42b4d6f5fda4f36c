"""A GGUF file of a Llama-shaped model -> a folder in the layout of `transformers`, dequantised to float32.

llama.cpp stores the rows of q and k so that rotary pairs are neighbours (interleaved); `transformers` wants the two
halves (half). The rows are put back here, so that RoPE's "half" layout is right for every folder.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors import SafetensorError
from safetensors.numpy import save_file
from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors
from tokenizers import Tokenizer as Encoder

from headlight.core.errors import CheckpointError

Progress = Callable[[float, str], None]
KEPT, CHECKSUM = ("config.json", "model.safetensors", "tokenizer.json"), "checksums.json"

_CONTROL_TOKEN = 3  # token_type of special tokens in GGUF
_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def convert(source: Path, folder: Path, progress: Progress | None = None) -> Path:
    """Writes config.json, model.safetensors and tokenizer.json to `folder`, all or nothing, and returns it.

    The files are written to a temporary neighbour that is renamed when complete. progress(done 0-1, what) is called on
    the way. Raises CheckpointError if the file is no GGUF file of a Llama-shaped model, OSError if the disk refuses.
    CHECKSUM beside the weights tells later whether they are still those (`intact`).
    """
    report = progress or (lambda done, what: None)
    reader = _open(source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
    try:
        config = _config(reader)
        (temporary / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        report(0.02, "reading the tokenizer")
        (temporary / "tokenizer.json").write_text(_tokenizer(reader).to_str(pretty=True), encoding="utf-8")
        _save(dict(_tensors(reader, config, report)), temporary / "model.safetensors")
        sums = {name: checksum(temporary / name) for name in KEPT}
        (temporary / CHECKSUM).write_text(json.dumps(sums), encoding="utf-8")
        report(1.0, "ready")
        return _move(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def intact(folder: Path) -> bool:
    """Whether the files that `convert` wrote there are still the same, bit for bit."""
    try:
        sums = json.loads((folder / CHECKSUM).read_text(encoding="utf-8"))
        return bool(sums == {name: checksum(folder / name) for name in KEPT})
    except (OSError, ValueError):
        return False


def checksum(path: Path) -> int:
    """The sum of a file's 64-bit words, modulo 2**64: finds a changed byte, and is as fast as memory is read."""
    size = path.stat().st_size
    words = np.memmap(path, "<u8", "r", shape=(size // 8,)) if size >= 8 else np.zeros(0, "<u8")
    with path.open("rb") as file:
        file.seek(size // 8 * 8)
        rest = int.from_bytes(file.read(), "little")
    return (int(words.sum(dtype=np.uint64)) + rest + size) % 2**64


def _save(tensors: dict[str, np.ndarray], path: Path) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # its word for a disk that is full, too
        raise OSError(str(error)) from error


def _open(source: Path) -> GGUFReader:
    try:
        reader = GGUFReader(source)
    except (ValueError, OSError, IndexError) as error:
        raise CheckpointError(f"{source.name} is no readable GGUF file: {error}") from error
    if _field(reader, "general.architecture") != "llama":
        raise CheckpointError(f"{source.name} holds a {_field(reader, 'general.architecture')} model, not a Llama one")
    return reader


def _move(temporary: Path, folder: Path) -> Path:
    # Renamed first and asked afterwards: what another process has just put there must not be taken from under its feet.
    for _ in range(2):
        try:
            return temporary.rename(folder)
        except OSError:
            if (folder / "model.safetensors").exists():  # another process was first; its files are as good
                return folder
            shutil.rmtree(folder, ignore_errors=True)  # what an incomplete copy may have left
    return temporary.rename(folder)


def _field(reader: GGUFReader, name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise CheckpointError(f"the GGUF file has no field {name!r}")
    return field.contents()


def _config(reader: GGUFReader) -> dict[str, Any]:
    def llama(name: str) -> Any:
        return _field(reader, f"llama.{name}")

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": llama("embedding_length"),
        "intermediate_size": llama("feed_forward_length"),
        "num_hidden_layers": llama("block_count"),
        "num_attention_heads": llama("attention.head_count"),
        "num_key_value_heads": llama("attention.head_count_kv"),
        "max_position_embeddings": llama("context_length"),
        "vocab_size": llama("vocab_size"),
        "rope_theta": llama("rope.freq_base"),
        "rms_norm_eps": llama("attention.layer_norm_rms_epsilon"),
        "bos_token_id": _field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _field(reader, "tokenizer.ggml.eos_token_id"),
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in reader.tensors),
    }


def _tensors(reader: GGUFReader, config: dict[str, Any], report: Progress) -> Iterator[tuple[str, np.ndarray]]:
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for done, tensor in enumerate(reader.tensors, start=1):
        report(0.05 + 0.85 * done / len(reader.tensors), "unpacking the weights")
        layer, kind = _split_name(tensor.name)
        value = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        if kind in heads:
            value = _halves(value, heads[kind])
        yield f"{layer}{_NAMES[kind]}.weight", np.ascontiguousarray(value)


def _split_name(name: str) -> tuple[str, str]:
    parts = name.removesuffix(".weight").split(".")
    if parts[-1] not in _NAMES:
        raise CheckpointError(f"the GGUF file has a tensor {name!r} that a Llama model does not have")
    return (f"model.layers.{parts[1]}." if parts[0] == "blk" else "", parts[-1])


def _halves(rows: np.ndarray, n_heads: int) -> np.ndarray:
    pairs = rows.reshape(n_heads, rows.shape[0] // n_heads // 2, 2, rows.shape[1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _tokenizer(reader: GGUFReader) -> Encoder:
    if _field(reader, "tokenizer.ggml.pre") != "smollm":
        raise CheckpointError(f"unknown pre-tokenizer {_field(reader, 'tokenizer.ggml.pre')!r}; 'smollm' is supported")
    pieces = _field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ", 1)) for merge in _field(reader, "tokenizer.ggml.merges")]
    encoder = Encoder(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    encoder.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    encoder.post_processor = processors.ByteLevel(trim_offsets=False)
    encoder.decoder = decoders.ByteLevel()
    types = _field(reader, "tokenizer.ggml.token_type")
    control = [piece for piece, kind in zip(pieces, types, strict=True) if kind == _CONTROL_TOKEN]
    encoder.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in control])
    return encoder
