"""Tiny checkpoints with random weights, written by `save_pretrained`, each with a tokenizer of sixty words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as t
from tokenizers import Tokenizer, models, pre_tokenizers

VOCABULARY = 61
TEXT = " ".join(f"w{(7 * i) % 59 + 1}" for i in range(29))

_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "max_position_embeddings": 64,
}
_KV = {"num_key_value_heads": 2}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
_DEEPSEEK = _EXPERTS | {
    "n_routed_experts": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1, "n_shared_experts": 1,
}  # fmt: skip
_MLA = {
    "q_lora_rank": 20, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 10,
    "num_key_value_heads": 6,
}  # fmt: skip
_YARN = {
    "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "mscale": 0.7, "mscale_all_dim": 0.7,
    "rope_theta": 10_000.0, "beta_fast": 32, "beta_slow": 1,
}  # fmt: skip
_GPT = {"vocab_size": VOCABULARY, "n_embd": 48, "n_layer": 2, "n_head": 6, "n_positions": 64}

# What is read, each with the quirk that it stands for.
READ: dict[str, Callable[[], Any]] = {
    "llama, GQA": lambda: t.LlamaConfig(**_SIZES, **_KV),
    "mistral, window": lambda: t.MistralConfig(**_SIZES, **_KV, sliding_window=5, head_dim=8),
    "mixtral, experts": lambda: t.MixtralConfig(**_SIZES, **_KV, num_local_experts=4),
    "qwen2, window in upper layers": lambda: t.Qwen2Config(
        **_SIZES, **_KV, use_sliding_window=True, sliding_window=4, max_window_layers=1
    ),
    "qwen3, norms on q and k": lambda: t.Qwen3Config(**_SIZES, **_KV, head_dim=12),
    "qwen3-next, one attention layer": lambda: t.Qwen3NextConfig(
        **_SIZES, **_KV, **_EXPERTS, head_dim=8, num_experts=4, shared_expert_intermediate_size=16,
        layer_types=["linear_attention", "full_attention"],
    ),
    "gemma, wide heads": lambda: t.GemmaConfig(**_SIZES, **_KV, head_dim=12),
    "gemma2, soft cap and window": lambda: t.Gemma2Config(
        **_SIZES, **_KV, head_dim=12, sliding_window=5, attn_logit_softcapping=0.5
    ),
    "gemma3, local and global": lambda: t.Gemma3TextConfig(**_SIZES, **_KV, head_dim=12, sliding_window=5),
    "phi, partial rotary": lambda: t.PhiConfig(**_SIZES, partial_rotary_factor=0.5),
    "phi3, fused projection": lambda: t.Phi3Config(**_SIZES, **_KV, pad_token_id=0),
    "gpt-neox, partial rotary": lambda: t.GPTNeoXConfig(**_SIZES, rotary_pct=0.5),
    "gpt2, scale by layer": lambda: t.GPT2Config(**_GPT, scale_attn_by_inverse_layer_idx=True),
    "starcoder, MQA": lambda: t.GPTBigCodeConfig(**_GPT),
    "starcoder2": lambda: t.Starcoder2Config(**_SIZES, **_KV),
    "gpt-oss, sinks": lambda: t.GptOssConfig(
        **_SIZES, **_KV, head_dim=8, sliding_window=5, num_local_experts=4, num_experts_per_tok=2
    ),
    "deepseek-v2, MLA": lambda: t.DeepseekV2Config(**_SIZES, **_MLA, **_DEEPSEEK),
    "deepseek-v3, MLA with YaRN": lambda: t.DeepseekV3Config(**_SIZES, **_MLA, **_DEEPSEEK, rope_parameters=_YARN),
    "minicpm3, MLA": lambda: t.MiniCPM3Config(**_SIZES, **_MLA),
    "olmo2, norms before the split": lambda: t.Olmo2Config(**_SIZES, **_KV),
    "cohere2, window and none": lambda: t.Cohere2Config(**_SIZES, **_KV, sliding_window=5),
    "granite, scale of its own": lambda: t.GraniteConfig(**_SIZES, **_KV, attention_multiplier=0.3),
    "stablelm": lambda: t.StableLmConfig(**_SIZES, **_KV, partial_rotary_factor=0.5),
    "llama4, chunks": lambda: t.Llama4TextConfig(
        **_SIZES, **_KV, head_dim=8, intermediate_size_mlp=40, num_local_experts=2, attention_chunk_size=4
    ),
    "opt": lambda: t.OPTConfig(
        vocab_size=VOCABULARY, hidden_size=48, num_hidden_layers=2, num_attention_heads=6, ffn_dim=40,
        max_position_embeddings=64, word_embed_proj_dim=48,
    ),
    "bert": lambda: t.BertConfig(**_SIZES),
    "roberta": lambda: t.RobertaConfig(**_SIZES),
    "albert, one layer's weights twice": lambda: t.AlbertConfig(**_SIZES),
    "modernbert, windows both ways": lambda: t.ModernBertConfig(
        **_SIZES, local_attention=6, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2
    ),
    "t5's encoder, relative bias": lambda: t.T5Config(
        vocab_size=VOCABULARY, d_model=48, d_kv=8, d_ff=40, num_layers=2, num_heads=6
    ),
    "bart's encoder": lambda: t.BartConfig(
        vocab_size=VOCABULARY, d_model=48, encoder_layers=2, decoder_layers=2, encoder_attention_heads=6,
        decoder_attention_heads=6, encoder_ffn_dim=40, decoder_ffn_dim=40, max_position_embeddings=64,
    ),
}  # fmt: skip

# What is refused, with a word of the reason.
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "bloom": (lambda: t.BloomConfig(vocab_size=VOCABULARY, hidden_size=48, n_layer=2, n_head=6), "attention interface"),
    "mpt": (lambda: t.MptConfig(vocab_size=VOCABULARY, d_model=48, n_layers=2, n_heads=6), "attention interface"),
    "gpt-j": (lambda: t.GPTJConfig(**_GPT, rotary_dim=4), "attention interface"),
    "deberta": (lambda: t.DebertaV2Config(**_SIZES), "attention interface"),
    "xlnet": (
        lambda: t.XLNetConfig(vocab_size=VOCABULARY, d_model=48, n_layer=2, n_head=6, d_inner=40),
        "attention interface",
    ),
    "mamba": (
        lambda: t.MambaConfig(vocab_size=VOCABULARY, hidden_size=48, num_hidden_layers=2),
        "attention interface",
    ),
    "vit": (
        lambda: t.ViTConfig(hidden_size=48, num_hidden_layers=2, num_attention_heads=6, intermediate_size=40),
        "reads no text",
    ),
}


def write(folder: Path, config: Any) -> Any:
    """Saves a random model of that configuration with its tokenizer, and returns it, with eager attention."""
    torch.manual_seed(0)
    model = _auto(config).from_config(config, attn_implementation="eager")
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 or "sinks" in name:  # the usual 0.02 would leave every map flat
            torch.nn.init.normal_(parameter, std=0.25)
    model.eval().save_pretrained(folder)
    _tokenizer().save(str(folder / "tokenizer.json"))
    return model.get_encoder() if config.is_encoder_decoder else model


def _auto(config: Any) -> Any:
    if config.is_encoder_decoder:
        return t.AutoModelForSeq2SeqLM
    return t.AutoModelForCausalLM if type(config) in t.AutoModelForCausalLM._model_mapping else t.AutoModel


def _tokenizer() -> Tokenizer:
    words = ["[UNK]", *(f"w{i}" for i in range(1, VOCABULARY))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer
