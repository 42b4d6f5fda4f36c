"""More files of the kinds that calculators read wrongly: what each names is counted, and what it leaves open is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headlight.core.errors import ConfigError, UnsupportedModelError
from headlight.core.memory.config.defaults import left_out
from headlight.core.memory.config.hf_config import ParsedConfig, read_config
from headlight.core.memory.sizes import elements_at

BASE: dict[str, Any] = {
    "hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 6, "num_key_value_heads": 2, "torch_dtype": "bfloat16",
}  # fmt: skip
ROW = 2 * 2 * 64
WINDOW = {"sliding_window": 128}


def read(more: dict[str, Any]) -> ParsedConfig:
    return read_config(json.dumps(BASE | more))


# what a file says -> layers that keep everything, layers with the window of 128
LISTS: dict[str, tuple[dict[str, Any], int, int]] = {
    "mixer_types": ({"mixer_types": ["attention", "mamba2"] * 3}, 3, 0),
    "mixer_types of letters": ({"mixer_types": ["a", "m"] * 3}, 3, 0),
    "hybrid_block_layout": ({"hybrid_block_layout": ["t", "m2", "m2"] * 2}, 2, 0),
    "attention_layers": (WINDOW | {"attention_layers": ["global", "local"] * 3}, 3, 3),
    "attn_layer_types": (WINDOW | {"attn_layer_types": ["full", "swa", "swa"] * 2}, 2, 4),
    "_block_types repeated": ({"_block_types": ["recurrent", "attention"]}, 3, 0),
    "a text of letters": ({"layer_pattern": "M*M*M-"}, 2, 0),
    "flags of windows": (WINDOW | {"is_sliding_layer": [True, True, False] * 2}, 2, 4),
    "flags of attention": (WINDOW | {"full_attention_flags": [1, 0, 0, 0, 0, 1]}, 2, 4),
    "flags of attention without a window": ({"use_attention": [1, 0, 0, 0, 0, 1]}, 2, 0),
    "layers by number": ({"attn_layer_idxs": [1, 4]}, 2, 0),
    "windows by number": (WINDOW | {"local_layer_ids": [0, 2, 4]}, 3, 3),
    "full layers by number": (WINDOW | {"full_attention_layers": [5]}, 1, 5),
    "skipped layers": ({"drop_attn_list": [0, 1]}, 4, 0),
    "a window a layer": ({"sliding_window": [128, None, 128, None, 128, 128]}, 2, 4),
    "a window a layer, repeated": ({"sliding_window": [128, 128, None]}, 2, 4),
    "a window a layer, by its name": ({"sliding_window_per_layer": [128, 0, 128, 0, 128, 0]}, 3, 3),
    "blocks": ({"layer_configs": [{"attention": {"no_op": True}}, *[{"attention": {}}] * 5]}, 5, 0),
    "blocks with windows": ({"blocks": [{"self_attn": {"window_size": 128}}, {"type": "mamba"}, *[{}] * 4]}, 4, 1),
    "linear blocks": ({"block_configs": [{"attention": {"replace_with_linear": True}}, *[{"attention": {}}] * 5]}, 5, 0),
    "layers of their own": ({"per_layer_config": {"02": {"sliding_window": 128}}}, 5, 1),
    "flash-linear-attention": ({"expand_k": 1, "attn": {"layers": [1, 3], "num_heads": 16, "num_kv_heads": 2}}, 2, 0),
    "shared at the end": ({"num_kv_shared_layers": 2}, 4, 0),
    "shared by source": ({"kv_source_layers": [0, 1, 1, 1, 4, 4]}, 3, 0),
    "shared by map": ({"kv_share_map": {"3": 1, "5": 4}}, 4, 0),
    "shared in groups": ({"kv_reuse_group": [[1, 2], [3, 4, 5]]}, 3, 0),
    "every other shared": ({"cla_share_factor": 2}, 3, 0),
    "cross attention": ({"cross_attention_layers": [1, 4]}, 4, 0),
    "SambaY": (WINDOW | {"mb_per_layer": 2, "num_hidden_layers": 8}, 1, 2),
    "PLaMo 2": ({"mamba_step": 2, "mamba_d_state": 64}, 3, 0),
    "looped": ({"num_loops": 3}, 18, 0),
    "ModernBERT's decoder": ({"local_attention": 256, "global_attn_every_n_layers": 3}, 2, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_layers_are_read_in_any_spelling(name: str) -> None:
    fields, full, windowed = LISTS[name]
    reading = read(fields)
    assert elements_at(reading.shape, 1000) == ROW * (1000 * full + 128 * windowed)
    assert not reading.unread


NAMES = {
    "n_kv_heads": {"num_key_value_heads": None, "n_kv_heads": 2},
    "num_query_groups": {"num_key_value_heads": None, "num_query_groups": 2},
    "num_key_value_groups": {"num_key_value_heads": None, "num_key_value_groups": 8},
    "n_embed": {"hidden_size": None, "n_embed": 1024},
    "d_head": {"hidden_size": None, "d_head": 64},
    "attention_head_dim beats kv_channels": {"kv_channels": 32, "attention_head_dim": 64},
    "num_query_heads": {"num_attention_heads": None, "num_query_heads": 16},
    "no query heads": {"num_attention_heads": None, "head_dim": 64},
    "kv heads a layer": {"num_key_value_heads": [2] * 6},
    "kv heads a layer beside one number": {"num_key_value_heads_per_layer": [2] * 6, "num_key_value_heads": 16},
    "attn_config": {
        "num_key_value_heads": None,
        "attn_config": {"kv_n_heads": 2, "attn_type": "grouped_query_attention"},
    },
    "MLA off": {"kv_lora_rank": 512, "use_mla": False, "v_head_dim": 0},
}


@pytest.mark.parametrize("name", NAMES)
def test_the_usual_fields_are_read_by_other_names(name: str) -> None:
    reading = read(NAMES[name])
    assert elements_at(reading.shape, 10) == 6 * ROW * 10
    assert not reading.unread


REFUSED = {
    "distilbert's class": {"model_type": "distilbert", "dim": 768, "n_heads": 12, "n_layers": 6},
    "masked": {"architectures": ["EsmForMaskedLM"]},
    "both ways": {"is_causal": False},
    "BERT's class": {"model_type": "bert"},
    "mamba's class": {"model_type": "mamba", "num_hidden_layers": 4},
    "RWKV with heads": {"attention_hidden_size": 1024, "head_size": 64, "num_key_value_heads": None},
    "RWKV": {"rescale_every": 6, "head_size": 64, "num_key_value_heads": None},
    "DeltaNet": {"expand_v": 1, "num_key_value_heads": None, "num_heads": 8},
    "all recurrent": {"layer_types": ["linear_attention"] * 6},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_keeps_no_cache_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedModelError, match="no KV cache"):
        read(REFUSED[name])


def test_a_mixture_that_does_not_say_which_layers_attend_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"some layers are recurrent \(mamba_d_state\), but not said which"):
        read({"mamba_d_state": 16})


ASKED = {
    "ModelOpt": ({"quantization_config": {"kv_cache_quant_algo": "FP8"}}, "fp8"),
    "ModelOpt, four bits": ({"quantization_config": {"kv_cache_quant_algo": "NVFP4"}}, "nvfp4"),
    "integers": ({"quantization_config": {"kv_cache_scheme": {"num_bits": 8, "type": "int"}}}, "int8"),
    "in a part of its own": ({"quantization": {"kv_cache_quant_algo": "INT8"}}, "int8"),
    "a plain field": ({"kv_cache_dtype": "fp8_e5m2"}, "fp8"),
    "nothing": ({"quantization_config": {"quant_method": "fp8", "kv_cache_scheme": None}}, "bf16"),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_file_may_ask_for_the_caches_precision(name: str) -> None:
    fields, native = ASKED[name]
    reading = read(fields)
    assert reading.shape.native == native
    assert (native == "bf16") or any("asks for a cache" in note for note in reading.notes)


def test_an_unknown_scheme_is_said() -> None:
    reading = read({"quantization_config": {"kv_cache_scheme": {"num_bits": 3, "type": "trits"}}})
    assert any("not known here" in note for note in reading.notes)


INDEXERS = {
    "a pattern": ({"index_topk_pattern": "FSSFSS"}, 2),
    "every other": ({"index_topk_freq": 2, "index_skip_topk_offset": 2}, 4),
    "a list": ({"indexer_layers": [0, 5]}, 2),
    "kinds of layers": ({"layer_types": ["deepseek_sparse_attention", "full_attention"] * 3}, 3),
    "all": ({}, 6),
}


@pytest.mark.parametrize("name", INDEXERS)
def test_indexers_are_counted_in_the_layers_that_have_one(name: str) -> None:
    fields, many = INDEXERS[name]
    assert read({"index_head_dim": 8} | fields).shape.indexed == many


def test_glm_5_2_has_21_indexers_in_78_layers() -> None:
    """zai-org/GLM-5.2, config.json: index_topk_freq 4, index_skip_topk_offset 3."""
    fields = {"num_hidden_layers": 78, "index_head_dim": 128, "index_topk_freq": 4, "index_skip_topk_offset": 3}
    assert read(fields).shape.indexed == 21


UNKNOWN = {
    "at the top of a file with parts": ({"text_config": BASE, "kv_sharing_plan": "x"}, "kv_sharing_plan"),
    "inside the text": ({"text_config": BASE | {"window_growth": 3}}, "window_growth"),
    "two objects down": ({"text_config": BASE | {"cache": {"policy": {"evict_heads": 3}}}}, "cache.policy.evict_heads"),
    "beside an attn_config that is read": (BASE | {"attn_config": {"kv_pool": 3}}, "attn_config.kv_pool"),
    "in a plain file": (BASE | {"mamba_kv_ratio": 3}, "mamba_kv_ratio"),
    "of loops": (BASE | {"recurrence_depth": 3}, "recurrence_depth"),
    "of compression": (BASE | {"kv_compression": {"stride": 4}}, "kv_compression.stride"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_might_matter_and_is_not_known_is_named_wherever_it_lies(name: str) -> None:
    fields, says = UNKNOWN[name]
    assert says in read_config(json.dumps(fields)).unread


def test_pictures_and_sounds_are_not_named() -> None:
    other = {"num_attention_heads": 4, "sliding_window": 7, "kv_heads": 2}
    reading = read_config(
        json.dumps({"text_config": BASE, "vision_config": other, "audio_config": other, "mm_projector": other})
    )
    assert not reading.unread


def test_what_a_class_leaves_out_is_taken_from_it_and_said() -> None:
    reading = read_config(json.dumps({"model_type": "gemma3_text", "num_hidden_layers": 26}))
    assert [(group.count, group.window) for group in reading.shape.groups] == [(22, 4096), (4, None)]
    assert any("taken from the defaults of gemma3_text (transformers" in note for note in reading.notes)


def test_what_a_file_says_is_not_taken_from_its_class() -> None:
    assert "sliding_window" in left_out({}, "mistral")
    assert "sliding_window" not in left_out({"sliding_window": None}, "mistral")
    assert "head_dim" not in left_out({"kv_channels": 64}, "gemma3_text")
    assert left_out({}, "no such class") == {} == left_out({}, ["a list"])


def test_a_part_is_read_by_its_class() -> None:
    """A Mistral 3 that leaves num_attention_heads to MistralConfig, whose class the file names only by its own model_type."""
    text = {"hidden_size": 5120, "num_hidden_layers": 40, "head_dim": 128, "sliding_window": None}
    shape = read_config(json.dumps({"model_type": "mistral3", "text_config": text})).shape
    assert (shape.n_heads, shape.groups[0].elements) == (32, 2 * 8 * 128)
