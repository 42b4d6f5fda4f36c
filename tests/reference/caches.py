"""Shrunken configurations of the architectures whose caches `transformers` really builds, each with what it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import transformers as t

_SIZES = {
    "vocab_size": 61, "hidden_size": 48, "intermediate_size": 40, "num_hidden_layers": 5, "num_attention_heads": 6,
    "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
_KV = {"num_key_value_heads": 2}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
_DEEPSEEK = _EXPERTS | {
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "n_shared_experts": 1,
}
_MLA = {
    "q_lora_rank": 20, "kv_lora_rank": 18, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 10,
    "num_key_value_heads": 6,
}  # fmt: skip
_GPT = {"vocab_size": 61, "n_embd": 48, "n_layer": 5, "n_head": 6, "n_positions": 64}
_STATE = {"mamba_n_heads": 6, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_chunk_size": 8}

CONFIGS: dict[str, Callable[[], Any]] = {
    # heads
    "gpt2, MHA": lambda: t.GPT2Config(**_GPT),
    "gpt-j, MHA": lambda: t.GPTJConfig(**_GPT, rotary_dim=4),
    "gpt-neox, MHA": lambda: t.GPTNeoXConfig(**_SIZES),
    "opt, MHA": lambda: t.OPTConfig(
        vocab_size=61,
        hidden_size=48,
        num_hidden_layers=5,
        num_attention_heads=6,
        ffn_dim=40,
        max_position_embeddings=64,
        word_embed_proj_dim=48,
    ),
    "bloom, MHA": lambda: t.BloomConfig(vocab_size=61, hidden_size=48, n_layer=5, n_head=6),
    "mpt, MHA": lambda: t.MptConfig(vocab_size=61, d_model=48, n_layers=5, n_heads=6, max_seq_len=64),
    "phi, MHA": lambda: t.PhiConfig(**_SIZES),
    "starcoder, MQA": lambda: t.GPTBigCodeConfig(**_GPT),
    "starcoder without MQA": lambda: t.GPTBigCodeConfig(**_GPT, multi_query=False),
    "falcon, MQA": lambda: t.FalconConfig(
        vocab_size=61, hidden_size=48, num_hidden_layers=5, num_attention_heads=6, num_kv_heads=6
    ),
    "llama, GQA": lambda: t.LlamaConfig(**_SIZES, **_KV),
    "mixtral, GQA": lambda: t.MixtralConfig(**_SIZES, **_KV, num_local_experts=4),
    "qwen3, heads not d_model / n": lambda: t.Qwen3Config(**_SIZES, **_KV, head_dim=12),
    "olmo2, GQA": lambda: t.Olmo2Config(**_SIZES, **_KV),
    "granite, GQA": lambda: t.GraniteConfig(**_SIZES, **_KV),
    "glm4-moe, GQA": lambda: t.Glm4MoeConfig(**_SIZES, **_KV, **_DEEPSEEK, head_dim=8),
    "minimax-m2, GQA": lambda: t.MiniMaxM2Config(
        **_SIZES, **_KV, head_dim=12, num_local_experts=4, num_experts_per_tok=2
    ),
    "smollm3, GQA": lambda: t.SmolLM3Config(**_SIZES, **_KV),
    "cohere, GQA": lambda: t.CohereConfig(**_SIZES, **_KV),
    "dbrx-like nested heads": lambda: t.DbrxConfig(
        d_model=48,
        n_heads=6,
        n_layers=5,
        max_seq_len=64,
        vocab_size=61,
        attn_config={"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 1e4},
        ffn_config={"ffn_hidden_size": 16, "moe_num_experts": 2, "moe_top_k": 1},
    ),
    # windows
    "mistral, window": lambda: t.MistralConfig(**_SIZES, **_KV, sliding_window=7, head_dim=8),
    "phi3, window": lambda: t.Phi3Config(**_SIZES, **_KV, sliding_window=7),
    "starcoder2, window": lambda: t.Starcoder2Config(**_SIZES, **_KV, sliding_window=7),
    "qwen2, window in upper layers": lambda: t.Qwen2Config(
        **_SIZES, **_KV, use_sliding_window=True, sliding_window=7, max_window_layers=2
    ),
    "qwen2, window not used": lambda: t.Qwen2Config(**_SIZES, **_KV, sliding_window=7),
    "gemma2, every other": lambda: t.Gemma2Config(**_SIZES, **_KV, head_dim=12, sliding_window=7),
    "gemma3, 5 to 1": lambda: t.Gemma3TextConfig(
        **_SIZES | {"num_hidden_layers": 7}, **_KV, head_dim=12, sliding_window=7
    ),
    "olmo3, 3 to 1": lambda: t.Olmo3Config(**_SIZES, **_KV, sliding_window=7),
    "cohere2, 3 to 1": lambda: t.Cohere2Config(**_SIZES, **_KV, sliding_window=7),
    "exaone4, letters": lambda: t.Exaone4Config(**_SIZES, **_KV, sliding_window=7, sliding_window_pattern=4),
    "gpt-oss, every other": lambda: t.GptOssConfig(
        **_SIZES, **_KV, head_dim=8, sliding_window=7, num_local_experts=4, num_experts_per_tok=2
    ),
    "llama4, chunks": lambda: t.Llama4TextConfig(
        **_SIZES, **_KV, head_dim=8, intermediate_size_mlp=40, num_local_experts=2, attention_chunk_size=7
    ),
    "mimo-v2-flash, wider keys than values, other heads in windows": lambda: t.MiMoV2FlashConfig(
        **_SIZES,
        **_EXPERTS,
        num_key_value_heads=1,
        swa_num_key_value_heads=2,
        head_dim=12,
        v_head_dim=8,
        n_routed_experts=4,
        sliding_window=7,
        n_group=1,
        topk_group=1,
    ),
    # layers that share keys and values
    "gemma3n, shared layers": lambda: t.Gemma3nTextConfig(
        **_SIZES | {"num_hidden_layers": 10},
        **_KV,
        head_dim=12,
        sliding_window=7,
        num_kv_shared_layers=5,
        vocab_size_per_layer_input=61,
        hidden_size_per_layer_input=8,
        laurel_rank=4,
        activation_sparsity_pattern=[0.0] * 10,
    ),
    "gemma4, wide global heads, shared layers": lambda: t.Gemma4TextConfig(
        **_SIZES | {"num_hidden_layers": 12},
        **_KV,
        head_dim=12,
        global_head_dim=20,
        num_global_key_value_heads=1,
        attention_k_eq_v=True,
        sliding_window=7,
        num_kv_shared_layers=6,
        vocab_size_per_layer_input=61,
        hidden_size_per_layer_input=8,
    ),
    # hybrids
    "qwen3-next, every fourth": lambda: t.Qwen3NextConfig(
        **_SIZES,
        **_KV,
        **_EXPERTS,
        head_dim=8,
        num_experts=4,
        shared_expert_intermediate_size=16,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
    ),
    "jamba, period and offset": lambda: t.JambaConfig(
        **_SIZES,
        **_KV,
        attn_layer_period=4,
        attn_layer_offset=1,
        num_experts=2,
        use_mamba_kernels=False,
        mamba_d_state=8,
    ),
    "bamba, listed layers": lambda: t.BambaConfig(**_SIZES, **_KV, **_STATE, attn_layer_indices=[1, 3]),
    "lfm2, convolutions": lambda: t.Lfm2Config(**_SIZES, **_KV, full_attn_idxs=[2, 4]),
    "nemotron-h, a pattern of letters": lambda: t.NemotronHConfig(
        **_SIZES,
        **_KV,
        head_dim=8,
        hybrid_override_pattern="M-M*-",
        mamba_num_heads=6,
        mamba_head_dim=16,
        n_groups=1,
        ssm_state_size=8,
        chunk_size=8,
    ),
    "granite-moe-hybrid": lambda: t.GraniteMoeHybridConfig(
        **_SIZES,
        **_KV,
        **_STATE,
        num_local_experts=2,
        num_experts_per_tok=1,
        shared_intermediate_size=16,
        layer_types=["mamba", "attention", "mamba", "mamba", "attention"],
    ),
    "minimax, lightning": lambda: t.MiniMaxConfig(
        **_SIZES,
        **_KV,
        head_dim=8,
        num_local_experts=2,
        num_experts_per_tok=1,
        block_size=8,
    ),
    # MLA
    "deepseek-v2, MLA": lambda: t.DeepseekV2Config(**_SIZES, **_MLA, **_DEEPSEEK),
    "deepseek-v3, MLA": lambda: t.DeepseekV3Config(**_SIZES, **_MLA, **_DEEPSEEK),
    "minicpm3, MLA": lambda: t.MiniCPM3Config(**_SIZES, **_MLA),
    "glm4-moe-lite, MLA": lambda: t.Glm4MoeLiteConfig(**_SIZES, **_MLA, **_DEEPSEEK),
    "longcat-flash, two attentions a block": lambda: t.LongcatFlashConfig(
        **{k: v for k, v in _SIZES.items() if k not in ("num_hidden_layers", "intermediate_size")},
        **_MLA,
        num_layers=3,
        head_dim=4,
        ffn_hidden_size=40,
        expert_ffn_hidden_size=16,
        n_routed_experts=4,
        zero_expert_num=2,
        moe_topk=2,
    ),
    "youtu, MLA": lambda: t.YoutuConfig(**_SIZES, **_MLA),
    "deepseek-v3.2, MLA with an indexer": lambda: t.DeepseekV32Config(
        **_SIZES, **_MLA, **_DEEPSEEK, index_head_dim=8, index_n_heads=2, index_topk=5
    ),
    "glm-moe-dsa, MLA with an indexer": lambda: t.GlmMoeDsaConfig(
        **_SIZES, **_MLA, **_DEEPSEEK, index_head_dim=8, index_n_heads=2, index_topk=5
    ),
    "kimi-linear, MLA in one of four": lambda: t.KimiLinearConfig(
        **_SIZES,
        **_MLA,
        **_EXPERTS,
        n_routed_experts=4,
        num_expert_group=1,
        topk_group=1,
        linear_head_dim=8,
        linear_num_heads=6,
    ),
    "bailing-hybrid, MLA in the last of a group": lambda: t.BailingHybridConfig(
        **_SIZES,
        **_MLA,
        **_DEEPSEEK,
        layer_group_size=3,
        head_dim=8,
    ),
    # compressed
    "deepseek-v4, compressed": lambda: t.DeepseekV4Config(
        vocab_size=61,
        hidden_size=48,
        moe_intermediate_size=16,
        num_hidden_layers=5,
        num_attention_heads=6,
        head_dim=16,
        q_lora_rank=20,
        num_experts_per_tok=2,
        n_routed_experts=4,
        sliding_window=7,
        index_head_dim=8,
        index_n_heads=2,
        index_topk=5,
        o_groups=2,
        o_lora_rank=8,
        max_position_embeddings=64,
        num_hash_layers=1,
        qk_rope_head_dim=4,
        compress_ratios=[4, 128, 4, 4, 128],
        compress_rate_hca=8,
    ),
}
