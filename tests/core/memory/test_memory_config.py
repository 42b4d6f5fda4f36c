"""config.json read by fields: what published files look like, what is named, and what is refused, whatever comes in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headlight.core.errors import ConfigError, HeadlightError, InputError, UnsupportedModelError
from headlight.core.memory.config import config_file
from headlight.core.memory.config.hf_config import ParsedConfig, read_config
from headlight.core.memory.config.layers.kinds import CSA, HCA
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.published import published
from headlight.core.memory.shape import Heads, Latent, MLADims
from headlight.core.memory.sizes import bytes_at, bytes_per_token, growing_bytes_per_token

CATALOGUE = published()
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "rms_norm_eps": 1e-5,
    "use_cache": True,
    "rope_theta": 5e5,
}
MLA: dict[str, Any] = {
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "hidden_size": 7168,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "torch_dtype": "bfloat16",
    "max_position_embeddings": 163840,
    "num_nextn_predict_layers": 1,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
}


def read(**fields: Any) -> ParsedConfig:
    return read_config(json.dumps(fields))


def same_cache(reading: ParsedConfig, slug: str) -> None:
    """As many bytes as the catalogue's model of that slug, at any length."""
    ours, theirs = reading.shape, CATALOGUE[slug].shape
    assert sum(g.count for g in ours.groups if g.counts) == theirs.n_layers
    bits = PRECISIONS["bf16"]
    assert bytes_per_token(ours, bits) == bytes_per_token(theirs, bits)
    assert growing_bytes_per_token(ours, bits) == growing_bytes_per_token(theirs, bits)
    assert [bytes_at(ours, n, bits) for n in (1, 100, 5000, 300_000)] == [
        bytes_at(theirs, n, bits) for n in (1, 100, 5000, 300_000)
    ]


_LLAMA4 = {
    "num_hidden_layers": 48,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "hidden_size": 5120,
    "head_dim": 128,
    "attention_chunk_size": 8192,
}
_GEMMA3 = {
    "num_hidden_layers": 62,
    "num_attention_heads": 32,
    "num_key_value_heads": 16,
    "hidden_size": 5376,
    "head_dim": 128,
    "sliding_window": 1024,
    "rope_local_base_freq": 1e4,
}
_V4 = {
    "num_hidden_layers": 43,
    "num_attention_heads": 64,
    "num_key_value_heads": 1,
    "head_dim": 512,
    "hidden_size": 4096,
    "sliding_window": 128,
    "index_head_dim": 128,
    "index_n_heads": 64,
    "index_topk": 512,
}

# Published files, shortened to what decides the cache; the catalogue knows the sizes.
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "heads of GQA": ("llama-3-1-8b", LLAMA),
    "GPT-2's names": (
        "gpt-2-xl-1-5b",
        {"n_layer": 48, "n_head": 25, "n_embd": 1600, "n_ctx": 1024, "torch_dtype": "float32"},
    ),
    "MPT's names": (
        "mpt-7b",
        {"n_layers": 32, "n_heads": 32, "d_model": 4096, "max_seq_len": 2048, "attn_config": {"alibi": True}},
    ),
    "DBRX's names": ("dbrx", {"n_layers": 40, "n_heads": 48, "d_model": 6144, "attn_config": {"kv_n_heads": 8}}),
    "MQA by multi_query": ("starcoder-15-5b", {"n_layer": 40, "n_head": 48, "n_embd": 6144, "multi_query": True}),
    "MQA, though num_kv_heads says otherwise": (
        "falcon-7b",
        {
            "num_hidden_layers": 32,
            "num_attention_heads": 71,
            "hidden_size": 4544,
            "multi_query": True,
            "num_kv_heads": 71,
            "new_decoder_architecture": False,
            "parallel_attn": True,
        },
    ),
    "Falcon's new architecture": (
        "falcon-40b",
        {
            "num_hidden_layers": 60,
            "num_attention_heads": 128,
            "hidden_size": 8192,
            "multi_query": True,
            "num_kv_heads": 8,
            "new_decoder_architecture": True,
        },
    ),
    "head_dim of its own": (
        "qwen3-0-6b",
        {
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "hidden_size": 1024,
            "head_dim": 128,
            "sliding_window": None,
            "use_sliding_window": False,
            "max_window_layers": 28,
        },
    ),
    "a window that is not used": (
        "qwen2-5-7b",
        {
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "hidden_size": 3584,
            "sliding_window": 131072,
            "use_sliding_window": False,
            "max_window_layers": 28,
        },
    ),
    "a window in all layers": ("mistral-7b-v0-1", LLAMA | {"sliding_window": 4096}),
    "a window in every other": (
        "gemma-2-27b",
        {
            "num_hidden_layers": 46,
            "num_attention_heads": 32,
            "num_key_value_heads": 16,
            "hidden_size": 4608,
            "head_dim": 128,
            "sliding_window": 4096,
            "attn_logit_softcapping": 50.0,
            "cache_implementation": "hybrid",
        },
    ),
    "5 windows to 1": ("gemma-3-27b", _GEMMA3 | {"sliding_window_pattern": 6}),
    "a part of its own for text": (
        "gemma-3-27b",
        {
            "architectures": ["Gemma3ForConditionalGeneration"],
            "torch_dtype": "bfloat16",
            "vision_config": {"num_hidden_layers": 27, "image_size": 896},
            "text_config": _GEMMA3 | {"sliding_window_pattern": 6},
        },
    ),
    "layer_types": (
        "gpt-oss-120b",
        {
            "num_hidden_layers": 36,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "hidden_size": 2880,
            "head_dim": 64,
            "sliding_window": 128,
            "layer_types": ["sliding_attention", "full_attention"] * 18,
        },
    ),
    "chunks by no_rope_layers": (
        "llama-4-scout-109b-a17b",
        {"text_config": _LLAMA4 | {"no_rope_layers": [1, 1, 1, 0] * 12}},
    ),
    "chunks, unsaid where": ("llama-4-scout-109b-a17b", {"text_config": _LLAMA4 | {"no_rope_layers": []}}),
    "wide global heads": (
        "gemma-4-26b-a4b",
        {
            "num_hidden_layers": 30,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 256,
            "global_head_dim": 512,
            "num_global_key_value_heads": 2,
            "attention_k_eq_v": True,
            "sliding_window": 1024,
            "hidden_size": 2816,
            "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 5,
        },
    ),
    "other heads where there is a window": (
        "mimo-v2-flash",
        {
            "num_hidden_layers": 48,
            "num_attention_heads": 64,
            "num_key_value_heads": 4,
            "head_dim": 192,
            "v_head_dim": 128,
            "swa_num_attention_heads": 64,
            "swa_num_key_value_heads": 8,
            "swa_head_dim": 192,
            "swa_v_head_dim": 128,
            "hidden_size": 4096,
            "sliding_window": 128,
            "hybrid_layer_pattern": [0] + ([1] * 4 + [0]) + ([1] * 5 + [0]) * 7,
        },
    ),
    "every fourth layer attends": (
        "qwen3-next-80b-a3b",
        {
            "num_hidden_layers": 48,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "head_dim": 256,
            "full_attention_interval": 4,
            "linear_num_key_heads": 16,
            "linear_key_head_dim": 128,
            "linear_conv_kernel_dim": 4,
        },
    ),
    "a pattern of letters": (
        "nemotron-3-nano-30b-a3b",
        {
            "num_hidden_layers": 52,
            "num_attention_heads": 32,
            "num_key_value_heads": 2,
            "head_dim": 128,
            "hidden_size": 2688,
            "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
            "mamba_num_heads": 64,
        },
    ),
    "MLA": ("deepseek-v3-671b", MLA),
    "MLA without q_lora_rank": (
        "deepseek-v2-lite-16b",
        MLA | {"num_hidden_layers": 27, "num_attention_heads": 16, "q_lora_rank": None},
    ),
    "MLA in listed layers": (
        "kimi-k3",
        MLA
        | {
            "num_hidden_layers": 93,
            "num_attention_heads": 96,
            "linear_attn_config": {
                "full_attn_layers": [*range(4, 93, 4), 93],
                "kda_layers": [],
                "head_dim": 128,
                "num_heads": 96,
            },
        },
    ),
    "two attentions a block": (
        "longcat-flash-560b",
        {
            "num_layers": 28,
            "zero_expert_num": 256,
            "mla_scale_kv_lora": True,
            "num_attention_heads": 64,
            "hidden_size": 6144,
        }
        | {k: MLA[k] for k in ("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")},
    ),
    "compress_ratios": (
        "deepseek-v4-flash-284b",
        _V4 | {"compress_ratios": [0, 0] + [4, 128] * 20 + [4], "num_nextn_predict_layers": 1},
    ),
    "compressed layer_types": (
        "deepseek-v4-flash-284b",
        _V4
        | {"layer_types": ["sliding_attention"] * 2 + [CSA, HCA] * 20 + [CSA], "compress_rates": {CSA: 4, HCA: 128}},
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_gives_the_catalogues_cache(name: str) -> None:
    slug, fields = FILES[name]
    reading = read(**fields)
    same_cache(reading, slug)
    assert reading.unread == ()


def test_what_calculators_get_wrong_is_right_here() -> None:
    """24.9 times too much for MLA (its heads taken for cached ones), 8 times for GQA, head_dim from d_model / n_heads."""
    assert bytes_per_token(read(**MLA).shape, PRECISIONS["bf16"]) == 70_272
    assert bytes_per_token(read(**LLAMA).shape, PRECISIONS["bf16"]) == 131_072
    glm = read(num_hidden_layers=92, num_attention_heads=96, num_key_value_heads=8, hidden_size=5120, head_dim=128)
    assert bytes_per_token(glm.shape, PRECISIONS["bf16"]) == 376_832


def test_the_five_numbers_and_all_else_that_the_page_shows_come_along() -> None:
    shape = read(**MLA, index_head_dim=128).shape
    assert shape.mla == MLADims(512, 128, 64, 128, 1536) and shape.groups[0].row == Latent(512, 64)
    assert (shape.d_model, shape.n_heads, shape.max_context, shape.native, shape.indexer_dim) == (
        7168,
        128,
        163_840,
        "bf16",
        128,
    )


def test_shared_layers_keep_nothing() -> None:
    reading = read(**LLAMA, num_kv_shared_layers=12)
    assert [(g.count, g.row is None) for g in reading.shape.groups] == [(20, False), (12, True)]
    shared = read(**LLAMA, use_cla=True, cla_share_factor=2).shape.groups
    assert [(g.count, g.row is None) for g in shared] == [(16, False), (16, True)]


def test_a_name_changes_nothing_that_the_file_says() -> None:
    plain = read(**LLAMA)
    for name in ("llama", "a_class_of_its_own"):
        assert read(**LLAMA, model_type=name, _name_or_path=name) == plain


def test_fields_that_might_matter_and_are_not_known_are_named() -> None:
    reading = read(**LLAMA, kv_cache_pool_heads=3, hidden_act="silu", attention_window_pool=4, tie_word_embeddings=True)
    assert reading.unread == ("kv_cache_pool_heads", "attention_window_pool")


def test_what_is_taken_for_granted_is_said() -> None:
    notes = read(n_layer=2, n_head=2, n_embd=4, sliding_window=8, attn_logit_softcapping=50.0, dtype="int3").notes
    assert any("every other one" in note for note in notes) and any("precision is not known" in note for note in notes)
    assert "num_nextn_predict_layers" in " ".join(read(**MLA).notes)


def test_a_precision_is_taken_from_the_file() -> None:
    kinds = {
        name: read(**LLAMA | {"torch_dtype": name}).shape.native for name in ("float16", "torch.float32", "bfloat16")
    }
    assert kinds == {"float16": "fp16", "torch.float32": "fp32", "bfloat16": "bf16"}


# Refused.

OTHERS = {
    "an encoder-decoder": {"is_encoder_decoder": True, "d_model": 512, "num_layers": 6, "num_heads": 8, "d_kv": 64},
    "a vision model": {
        "hidden_size": 768,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "image_size": 224,
        "patch_size": 16,
    },
    "vision model": {
        "text_config": {"num_hidden_layers": 12, "num_attention_heads": 8},
        "vision_config": {},
        "logit_scale_init_value": 2.6,
    },
    "an encoder that reads both ways": {
        "hidden_size": 768,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "type_vocab_size": 2,
    },
    "state-space or recurrent": {"hidden_size": 768, "num_hidden_layers": 24, "state_size": 16, "conv_kernel": 4},
    r"recurrent model \(attention_hidden_size\)": {
        "hidden_size": 768,
        "num_hidden_layers": 24,
        "attention_hidden_size": 768,
    },
    r"state-space or recurrent model \(state_size\)": {
        "hidden_size": 768,
        "num_hidden_layers": 24,
        "state_size": 16,
        "num_heads": 24,
    },
}


@pytest.mark.parametrize("says", OTHERS)
def test_another_kind_of_model_is_told_what_it_is(says: str) -> None:
    with pytest.raises(UnsupportedModelError, match=says):
        read(**OTHERS[says])


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in LLAMA.items() if key != name}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "no number of layers is given; the field is called num_hidden_layers or n_layer or n_layers"),
    "no heads": (_without("num_attention_heads"), "no number of attention heads is given"),
    "no width": (_without("hidden_size"), "no head_dim, nor a model's width"),
    "heads that do not divide": (
        LLAMA | {"num_key_value_heads": 5},
        r"n_heads \(32\) must be a multiple of n_kv_heads \(5\)",
    ),
    "a width that does not divide": (
        LLAMA | {"hidden_size": 4097},
        r"hidden_size \(4097\) must be a multiple of the heads \(32\)",
    ),
    "negative": (LLAMA | {"num_key_value_heads": -8}, r"num_key_value_heads \(-8\) must be a whole number from 1 to"),
    "zero": (LLAMA | {"num_hidden_layers": 0}, r"num_hidden_layers \(0\) must"),
    "a million layers": (LLAMA | {"num_hidden_layers": 10**6}, r"num_hidden_layers \(1,000,000\) must .* to 10,000"),
    "a billion tokens": (LLAMA | {"max_position_embeddings": 10**9}, r"max_position_embeddings \(1,000,000,000\)"),
    "half a head": (LLAMA | {"num_attention_heads": 32.5}, r"num_attention_heads \(32.5\)"),
    "text": (LLAMA | {"num_attention_heads": "<b>32</b>" * 90}, r"num_attention_heads \('<b>32</b>.{1,40}…'\) must"),
    "a list": (
        LLAMA | {"num_key_value_heads": [8] * 31},
        r"num_key_value_heads \(a list\) has 31 entries for 32 layers",
    ),
    "true": (LLAMA | {"num_hidden_layers": True}, r"num_hidden_layers \(true\)"),
    "NaN": (LLAMA | {"num_hidden_layers": float("nan")}, r"num_hidden_layers \(nan\)"),
    "infinity": (LLAMA | {"head_dim": float("inf")}, r"head_dim \(inf\)"),
    "400 digits": (LLAMA | {"head_dim": 10**400}, "head_dim .a number of more than 20 digits"),
    "MLA without its rope part": (
        {k: v for k, v in MLA.items() if k != "qk_rope_head_dim"},
        "so the model has MLA, but qk_rope_head_dim is missing",
    ),
    "MLA without its values": ({k: v for k, v in MLA.items() if k != "v_head_dim"}, "the field is called v_head_dim"),
    "too few layer types": (
        LLAMA | {"layer_types": ["full_attention"] * 31},
        "layer_types has 31 entries for 32 layers",
    ),
    "an unknown layer type": (
        LLAMA | {"layer_types": ["telepathy"] * 32},
        "a layer of the kind 'telepathy' is not known here",
    ),
    "layer types of numbers": (LLAMA | {"layer_types": [1] * 32}, r"layer_types \(a list\) must be a list of names"),
    "a window that is missing": (LLAMA | {"layer_types": ["sliding_attention"] * 32}, "sliding_window is missing"),
    "a window, unsaid where": (_GEMMA3, "add layer_types or sliding_window_pattern"),
    "letters unknown": (LLAMA | {"hybrid_override_pattern": "MX" * 16}, r"hybrid_override_pattern \('MXMX"),
    "sharing all layers": (
        LLAMA | {"num_kv_shared_layers": 32},
        r"num_kv_shared_layers \(32\) must be a whole number from 0 to 31",
    ),
    "a layer that is not there": (LLAMA | {"attn_layer_indices": [3, 32]}, r"an entry of attn_layer_indices \(32\)"),
    "no object": (LLAMA | {"attn_config": 3}, r"attn_config \(3\) must be an object"),
    "no flag": (LLAMA | {"multi_query": "yes"}, r"multi_query \('yes'\) must be true or false"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_field_is_refused_in_a_sentence_that_names_it(name: str) -> None:
    fields, says = WRONG[name]
    with pytest.raises(ConfigError, match=says) as caught:
        read(**fields)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 220


TEXTS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "this is not JSON: expecting value at line 1, column 1"),
    "not JSON": ("n_layer: 12", "this is not JSON"),
    "cut off": ('{"n_layer": 12', "this is not JSON"),
    "a list": ("[1, 2]", "one object"),
    "a number": ("12", "one object"),
    "null": ("null", "one object"),
    "50 MB": (b" " * 50_000_000, r"this has 50,000,000 bytes, and 4,194,304 are the limit"),
    "nested a thousand deep": ('{"a":' * 1000 + "1" + "}" * 1000, "nested more than 24 deep"),
    "lists a hundred thousand deep": ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested more than 24 deep"),
    "30 deep": ('{"a":' * 30 + "1" + "}" * 30, "nested more than 24 deep"),
    "a number of 5,000 digits": ('{"n_layer": 1' + "0" * 5000 + "}", "thousands of digits"),
    "a picture": (b"\x89PNG\r\n\x1a\n\xff\xfe", "no text in UTF-8"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_config_is_refused_in_a_sentence(name: str) -> None:
    text, says = TEXTS[name]
    with pytest.raises(InputError, match=says) as caught:
        read_config(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


HEAVY = {
    "very many layers listed": LLAMA | {"num_hidden_layers": 10_000, "attn_layer_indices": list(range(10_000)) * 60},
    "very many layers of their own": LLAMA | {
        "num_hidden_layers": 10_000, "per_layer_config": {str(i): {} for i in range(10_000, 200_000)}
    },
    "kinds by the million": LLAMA | {"attention_types": [[["global"] * 200_000, 10_000]]},
    "a name of a megabyte": LLAMA | {"kv_" + "x" * 1_000_000: 1},
    "unread names by the thousand": LLAMA | {f"kv_{i}": 1 for i in range(100_000)},
}  # fmt: skip


@pytest.mark.parametrize("name", HEAVY)
def test_a_config_made_to_be_slow_is_not(name: str) -> None:
    """Without bounds these take minutes or gigabytes; the suite's limit of time would end them."""
    try:
        reading = read(**HEAVY[name])
    except ConfigError as error:
        assert len(str(error)) < 200
    else:
        assert len(" ".join(reading.unread)) < 1000


def test_a_byte_order_mark_does_no_harm() -> None:
    text = json.dumps(LLAMA)
    assert read_config("\ufeff" + text) == read_config(b"\xef\xbb\xbf" + text.encode()) == read_config(text)


_NUMBERS = st.one_of(
    st.integers(-3, 200), st.integers(), st.floats(), st.sampled_from([10**9, 2**63, 10**400, 0, 1, 8, 64])
)
_JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        _NUMBERS,
        st.text(max_size=9),
        st.sampled_from(["full_attention", "sliding_attention", "M*", CSA]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
_FIELDS = sorted(
    {key for _, fields in FILES.values() for key in fields}
    | set(MLA)
    | set(_GEMMA3)
    | {
        "attention_types",
        "block_types",
        "attn_layer_period",
        "attn_layer_offset",
        "layer_group_size",
        "per_layer_config",
        "use_cla",
        "cla_share_factor",
        "num_kv_shared_layers",
        "no_rope_layers",
        "no_rope_layer_interval",
        "compress_rates",
        "attn_type_list",
        "language_config",
        "attn_layer_indices",
        "is_encoder_decoder",
        "state_size",
        "type_vocab_size",
        "logit_scale_init_value",
        "hybrid_override_pattern",
        "sliding_window_pattern",
        "compress_ratios",
        "use_sliding_window",
        "head_dim",
    }
)


@given(
    base=st.sampled_from([{}, LLAMA, MLA, _GEMMA3, _V4]),
    more=st.dictionaries(st.sampled_from(_FIELDS), _JUNK, max_size=5),
)
@example(base=LLAMA, more={"per_layer_config": {"²": {}, "-1": {}, "00000000000": {"head_dim": 5}}})
@example(base=LLAMA, more={"attention_types": [[["global"], 10**9]]})
@example(base=LLAMA, more={"num_hidden_layers": 10_000, "layer_types": "full_attention"})
def test_whatever_a_config_holds_it_is_read_or_refused_in_a_sentence(
    base: dict[str, Any], more: dict[str, Any]
) -> None:
    try:
        shape = read(**base | more).shape
    except HeadlightError as error:
        assert str(error) and "\n" not in str(error) and len(str(error)) < 260
    else:
        assert 0 <= bytes_at(shape, 1, PRECISIONS["q4_0"]) <= bytes_at(shape, 1000, PRECISIONS["fp32"])
        assert sum(g.count for g in shape.groups if g.counts) == shape.n_layers
        assert all(g.row is None or isinstance(g.row, Heads | Latent) for g in shape.groups)


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_any_text_is_an_object_or_refused_in_a_sentence(text: str | bytes) -> None:
    try:
        assert isinstance(config_file.parse(text), dict)
    except InputError as error:
        assert str(error) and "\n" not in str(error)
