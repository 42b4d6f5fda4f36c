"""KV-cache arithmetic: the catalogue's numbers from shapes alone, engines' logs, windows, variants, what fits."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headlight.core.errors import CheckpointError, ConfigError, UnknownNameError
from headlight.core.memory import bounds as checks
from headlight.core.memory.config.wording import binary, decimal, exact, formula
from headlight.core.memory.fit import GPUS, tokens_that_fit, users_that_fit, weights_bytes
from headlight.core.memory.precision import PRECISIONS, precision
from headlight.core.memory.published import PATH, Published, published
from headlight.core.memory.shape import CacheShape, Heads, Latent, LayerGroup, MLADims, of_heads, of_mla
from headlight.core.memory.sizes import (
    bytes_at,
    bytes_per_token,
    elements_at,
    growing_bytes_per_token,
    reserved_bytes_at,
)
from headlight.core.memory.variants import as_mha, as_mla, mla_forms, with_kv_heads

CATALOGUE = published()
BF16, Q8_0 = PRECISIONS["bf16"], PRECISIONS["q8_0"]


def native(model: Published):
    return PRECISIONS[model.shape.native]


def test_the_catalogue_has_all_its_records() -> None:
    assert [sum(m.verified is kind for m in CATALOGUE.values()) for kind in (True, False)] == [104, 14]
    assert all(model.sources for model in CATALOGUE.values())


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=CATALOGUE)
def test_every_number_of_the_catalogue_follows_from_the_shape(model: Published) -> None:
    stated = model.stated
    if stated["kv_bytes_per_token"] is not None:
        assert bytes_per_token(model.shape, native(model)) == stated["kv_bytes_per_token"]
    assert growing_bytes_per_token(model.shape, native(model)) == stated["kv_bytes_per_token_growing"]
    found = {context: bytes_at(model.shape, int(context), native(model)) for context in stated["kv_bytes_at"]}
    assert found == stated["kv_bytes_at"] and found


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=CATALOGUE)
def test_heads_of_their_own_cost_what_the_catalogue_says(model: Published) -> None:
    stated = model.stated["mha_equivalent_bytes_per_token"]
    if stated is not None:
        assert bytes_per_token(as_mha(model.shape), native(model)) == stated


@pytest.mark.parametrize(
    ("slug", "whole", "growing"),
    [
        ("llama-3-1-405b", 516_096, 516_096),
        ("deepseek-v3-671b", 70_272, 70_272),
        ("gemma-3-27b", 507_904, 81_920),
        ("gpt-oss-120b", 73_728, 36_864),
        ("qwen2-5-72b", 327_680, 327_680),
    ],
)
def test_the_numbers_that_people_know(slug: str, whole: int, growing: int) -> None:
    shape = CATALOGUE[slug].shape
    assert (bytes_per_token(shape, BF16), growing_bytes_per_token(shape, BF16)) == (whole, growing)


def test_a_catalogue_that_is_none_is_refused_with_its_name(tmp_path) -> None:
    for text in ("", "[]", "{}", "[" * 5000, PATH.read_text().replace('"n_layers": 126', '"n_layers": 125')):
        broken = tmp_path / "models.json"
        broken.write_text(text)
        with pytest.raises(CheckpointError, match=r"models\.json cannot be read"):
            published(broken)
    row = json.loads(PATH.read_text())["verified"][0] | {"sources": []}
    broken.write_text(json.dumps({"verified": [row], "unverified": []}))
    with pytest.raises(CheckpointError, match="GPT-2 124M has no source"):
        published(broken)


# Engines' own logs.


def test_vllm_says_78384_tokens_for_gpt_oss_in_5_38_gib() -> None:
    shape = CATALOGUE["gpt-oss-120b"].shape
    room = reserved_bytes_at(shape, 78_384, BF16)
    assert room == 78_384 * 73_728 and f"{room / 2**30:.2f}" == "5.38"
    assert tokens_that_fit(shape, room, BF16, reserved=True) == 78_384
    assert tokens_that_fit(shape, room + 15 * 73_728, BF16, reserved=True) == 78_384, "whole pages of 16 tokens"


def test_llama_cpp_says_1166_62_mib_for_deepseek_r1_in_q8_0() -> None:
    size = bytes_at(CATALOGUE["deepseek-r1-671b"].shape, 32_768, Q8_0)
    assert size == 61 * 32_768 * 576 * 17 // 16 and f"{size / 2**20:.2f}" == "1166.62"


def test_blocks_scales_are_counted() -> None:
    bits = {name: each.bits_per_element for name, each in PRECISIONS.items()}
    assert bits == {"fp32": 32, "fp16": 16, "bf16": 16, "fp8": 8, "q8_0": Fraction(17, 2), "int4": Fraction(9, 2),
                    "q4_0": Fraction(9, 2), "int8": 8, "nvfp4": Fraction(9, 2), "mxfp4": Fraction(17, 4), "q5_1": 6,
                    "q5_0": Fraction(11, 2), "q4_1": 5}  # fmt: skip
    with pytest.raises(UnknownNameError, match="no precision is called 'fp7'; there are fp32"):
        precision("fp7")


# Windows, hybrids, compression.


def test_a_window_stops_growing_and_the_rest_goes_on() -> None:
    shape = CacheShape("", 5, 6, (LayerGroup(3, Heads(2, 7, 11), window=13), LayerGroup(2, Heads(2, 7, 11))))
    row = 2 * (7 + 11)
    assert [elements_at(shape, n) for n in (1, 12, 13, 14, 1000)] == [
        5 * row, 5 * 12 * row, 5 * 13 * row, (3 * 13 + 2 * 14) * row, (3 * 13 + 2 * 1000) * row,
    ]  # fmt: skip
    assert growing_bytes_per_token(shape, BF16) == 2 * row * 2 and shape.windowed


def test_layers_without_a_cache_and_shared_ones_keep_nothing() -> None:
    shape = CacheShape("", 7, 6, (LayerGroup(2, Heads(3, 5, 5)), LayerGroup(5, None, reason="a constant state")))
    assert elements_at(shape, 11) == 2 * 30 * 11


def test_a_compressed_cache_keeps_a_row_for_several_tokens() -> None:
    shape = CacheShape(
        "", 3, 4, (LayerGroup(3, Heads(1, 5, 0), window=2), LayerGroup(2, Heads(1, 5, 0), every=4, indexer=2))
    )
    assert [elements_at(shape, n) for n in (1, 3, 4, 11)] == [15, 30, 30 + 14, 30 + 28]
    assert shape.compressed and bytes_per_token(shape, BF16) == 2 * (15 + 3.5)


def test_an_engine_reserves_whole_pages_in_every_layer() -> None:
    shape = CATALOGUE["gemma-3-27b"].shape
    ideal, reserved = (f(shape, 131_071, BF16) for f in (bytes_at, reserved_bytes_at))
    assert reserved == 131_072 * 507_904 and ideal == 131_071 * 81_920 + 1024 * (507_904 - 81_920)


def test_sequences_of_a_batch_add_up() -> None:
    shape = CATALOGUE["gemma-3-1b"].shape
    assert bytes_at(shape, 3001, Q8_0, batch=7) == 7 * bytes_at(shape, 3001, Q8_0)


# The same model otherwise.


def test_other_kv_heads_change_the_rows_alone() -> None:
    shape = CATALOGUE["gemma-3-27b"].shape
    mqa, gqa = with_kv_heads(shape, 1), with_kv_heads(shape, 8)
    assert bytes_per_token(mqa, BF16) * 8 == bytes_per_token(gqa, BF16) == 507_904 / 2
    assert [group.window for group in mqa.groups] == [group.window for group in shape.groups]
    with pytest.raises(ConfigError, match=r"n_heads \(32\) must be a multiple of n_kv_heads \(5\)"):
        with_kv_heads(shape, 5)


def test_a_latent_takes_its_rank_and_half_a_head() -> None:
    shape = as_mla(CATALOGUE["llama-3-1-405b"].shape, 512)
    assert shape.groups[0].row == Latent(512, 64) and bytes_per_token(shape, BF16) == 126 * 576 * 2


def test_mla_has_three_forms() -> None:
    forms = mla_forms(CATALOGUE["deepseek-v3-671b"].shape)
    kept = {name: form.groups[0].elements for name, form in forms.items()}
    assert kept == {"latent": 576, "expanded": 40_960, "mha": 32_768}
    with pytest.raises(ConfigError, match="only a model with MLA"):
        mla_forms(CATALOGUE["llama-3-8b"].shape)


def test_a_compressed_cache_has_no_plain_counterpart() -> None:
    with pytest.raises(ConfigError, match="no counterpart of plain heads"):
        as_mha(CATALOGUE["deepseek-v4-pro"].shape)
    with pytest.raises(ConfigError, match="how wide the heads are"):
        as_mha(CacheShape("", 3, 4, (LayerGroup(3, Latent(5, 2)),)))


# What fits.


def test_as_many_tokens_fit_as_a_card_has_room_for() -> None:
    shape, room = CATALOGUE["llama-3-1-8b"].shape, 80 * 10**9 - weights_bytes(8 * 10**9, BF16)
    assert tokens_that_fit(shape, room, BF16) == 64 * 10**9 // 131_072
    assert tokens_that_fit(shape, room, BF16, batch=3) == 64 * 10**9 // (3 * 131_072)
    assert users_that_fit(shape, room, 8192, BF16) == 64 * 10**9 // (8192 * 131_072)
    assert tokens_that_fit(shape, 0, BF16) == users_that_fit(shape, 0, 1, BF16) == 0


def test_no_text_is_too_long_for_windows_alone() -> None:
    shape = CATALOGUE["starcoder2-7b"].shape
    full = 4096 * 65_536
    assert (tokens_that_fit(shape, full, BF16), tokens_that_fit(shape, full - 1, BF16)) == (None, 4095)
    nothing = CacheShape("", 3, 4, (LayerGroup(3, None, reason="a constant state"),))
    assert tokens_that_fit(nothing, 0, BF16) is users_that_fit(nothing, 0, 9, BF16) is None


@given(
    slug=st.sampled_from(sorted(CATALOGUE)),
    gpu=st.sampled_from(GPUS),
    batch=st.integers(1, 300),
    kind=st.sampled_from(sorted(PRECISIONS)),
)
def test_one_token_more_than_fits_does_not_fit(slug: str, gpu: int, batch: int, kind: str) -> None:
    shape, room = CATALOGUE[slug].shape, gpu * 10**9
    for reserved, size in ((False, bytes_at), (True, reserved_bytes_at)):
        tokens = tokens_that_fit(shape, room, PRECISIONS[kind], batch, reserved=reserved)
        if tokens is not None:
            assert tokens == 0 or size(shape, tokens, PRECISIONS[kind], batch) <= room
            assert size(shape, tokens + 1, PRECISIONS[kind], batch) > room


@given(
    slug=st.sampled_from(sorted(CATALOGUE)),
    context=st.integers(1, checks.MAX_TOKENS - 1),
    kind=st.sampled_from(sorted(PRECISIONS)),
)
def test_a_longer_text_never_takes_less(slug: str, context: int, kind: str) -> None:
    shape, bits = CATALOGUE[slug].shape, PRECISIONS[kind]
    assert bytes_at(shape, context, bits) <= bytes_at(shape, context + 1, bits)
    assert bytes_at(shape, context, bits) <= reserved_bytes_at(shape, context, bits)
    assert bytes_at(shape, context, bits) <= context * bytes_per_token(shape, bits) + 1


# What is refused.

HUGE = (0, -1, 10**9, math.nan, math.inf, -math.inf, 2.5, True, None, "8", [8], 10**400)


@pytest.mark.parametrize("value", HUGE, ids=lambda v: str(v)[:9])
def test_no_number_that_is_none_gets_in(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^context \(.{1,60}\) must be a whole number from 1 to 100,000,000$"):
        checks.whole("context", value, checks.MAX_TOKENS)
    if value not in (10**9, 2.5):
        with pytest.raises(
            ConfigError, match=r"^bandwidth \(.{1,60}\) must be a number above 0 and at most 1,000,000$"
        ):
            checks.positive("bandwidth", value, 1e6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: of_heads(10**6, 8, 8, 64), r"layers \(1,000,000\) must be a whole number from 1 to 10,000"),
        (lambda: of_heads(0, 8, 8, 64), r"layers \(0\)"),
        (lambda: of_heads(4, 8, 3, 64), r"n_heads \(8\) must be a multiple of n_kv_heads \(3\)"),
        (lambda: of_heads(4, 8, 8, 0), r"head_dim \(0\)"),
        (lambda: of_heads(4, 0, 1, 64), r"n_heads \(0\)"),
        (lambda: of_mla(4, 8, MLADims(0, 1, 1, 1)), r"kv_lora_rank \(0\)"),
        (lambda: of_mla(4, 8, MLADims(1, 1, -1, 1)), r"qk_rope_head_dim \(-1\)"),
        (lambda: LayerGroup(1, Heads(1, 1, 1), window=0), r"window \(0\)"),
        (lambda: LayerGroup(1, Heads(1, 1, 1), every=0), r"tokens to one kept row \(0\)"),
        (lambda: CacheShape("", 3, 4, (LayerGroup(2, Heads(1, 1, 1)),)), r"layers \(2\) must add up to n_layers \(3\)"),
        (lambda: CacheShape("", 3, 4, ()), r"must add up to n_layers \(3\)"),
        (lambda: bytes_at(of_heads(1, 1, 1, 1), 10**9, BF16), r"context \(1,000,000,000\)"),
        (lambda: bytes_at(of_heads(1, 1, 1, 1), 1, BF16, batch=0), r"batch \(0\)"),
        (lambda: weights_bytes(0, BF16), r"parameters \(0\)"),
        (lambda: tokens_that_fit(of_heads(1, 1, 1, 1), -1, BF16), r"room \(-1\)"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(make, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


# In words.


def test_kb_is_1000_bytes_and_kib_1024() -> None:
    assert (decimal(70_272), binary(70_272), exact(70_272)) == ("70.27 KB", "68.62 KiB", "70,272 B")
    assert (decimal(0), binary(1023.0), decimal(5e20), exact(0.5)) == ("0 B", "1,023 B", "500 EB", "0.5 B")


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=CATALOGUE)
@pytest.mark.parametrize(("context", "batch"), [(None, 1), (5000, 1), (5000, 3)])
def test_a_formula_gives_what_it_says(model: Published, context: int | None, batch: int) -> None:
    text = formula(model.shape, Q8_0, context, batch)
    python = text.replace(" B", "").replace("×", "*").replace(",", "_").replace("⌊", "int(").replace("⌋", ")")
    value = eval(python.replace("_ ", ","))
    expected = bytes_per_token(model.shape, Q8_0) if context is None else bytes_at(model.shape, context, Q8_0, batch)
    assert value == pytest.approx(expected, abs=batch)
