"""Shapes spelled for links and read back, forms, deployments and their sheets."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headlight.core.errors import ConfigError, HeadlightError, InputError
from headlight.core.export.cache_sizes import curves_to_csv, to_csv
from headlight.core.memory.config.form import Odd, of_form
from headlight.core.memory.config.spelling import MOST, read_spelled, spell
from headlight.core.memory.deployment import Deployment
from headlight.core.memory.fit import weights_bytes
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.published import published
from headlight.core.memory.shape import CacheShape, Heads, Latent, LayerGroup, MLADims
from headlight.core.memory.sizes import bytes_at

CATALOGUE = published()
BF16 = PRECISIONS["bf16"]


def bare(shape: CacheShape) -> CacheShape:
    """Without what a link does not carry: names, reasons, the number of parameters."""
    groups = tuple(replace(group, reason="") for group in shape.groups)
    return replace(shape, name="", parameters=None, groups=groups)


@pytest.mark.parametrize("slug", CATALOGUE)
def test_every_published_shape_comes_back_from_its_link(slug: str) -> None:
    shape = CATALOGUE[slug].shape
    assert bare(read_spelled(spell(shape))) == bare(shape) and len(spell(shape)) < 100


_SMALL = st.integers(1, 500)
_ROWS = st.one_of(st.none(), st.tuples(_SMALL, st.integers(0, 99)), st.tuples(st.just(1), _SMALL, st.integers(0, 500)))
_GROUPS = st.tuples(_SMALL, _ROWS, st.none() | st.integers(1, 10**8), st.booleans(), st.integers(0, 300))
_DIMS = st.none() | st.tuples(_SMALL, _SMALL, st.integers(0, 99), _SMALL, st.integers(0, 99))


def group(count: int, row: tuple[int, ...] | None, window: int | None, chunked: bool, indexer: int) -> LayerGroup:
    if row is None:
        return LayerGroup(count, None)
    kept = Latent(*row) if len(row) == 2 else Heads(*row)
    return LayerGroup(count, kept, window, chunked and window is not None, indexer=indexer)


@given(
    st.lists(_GROUPS, min_size=1, max_size=5), _SMALL, st.sampled_from(["fp32", "fp16", "bf16", "fp8"]),
    st.none() | st.integers(1, 10**8), st.none() | _SMALL, st.integers(0, 300), _DIMS,
)  # fmt: skip
def test_any_shape_comes_back_from_its_link(rows, heads, native, most, width, indexer, dims) -> None:
    groups = tuple(group(*row) for row in rows)
    mla = None if dims is None else MLADims(*dims)
    shape = CacheShape("", sum(g.count for g in groups), heads, groups, mla, width, most, native, None, indexer)
    assert read_spelled(spell(shape), "") == shape


@given(st.text(alphabet="0123456789x.-:mwceiM bhf", max_size=80) | st.text(max_size=40))
def test_any_other_text_is_refused_in_a_sentence(text: str) -> None:
    try:
        assert isinstance(read_spelled(text), CacheShape)
    except HeadlightError as error:
        assert str(error) and "\n" not in str(error) and len(str(error)) < 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "32x32.b...",
        "32x32.b...-",
        "32x32.b...-32:8x128",
        "٣x٣.b...-٣:0",
        "1x1.b...-1:0" + "-1:0" * MOST,
        "9" * 10**6,
    ],
)
def test_what_spells_no_cache_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="the link describes no cache"):
        read_spelled(text)


def test_more_kinds_of_layers_than_a_link_holds_are_refused() -> None:
    groups = tuple(LayerGroup(1, Heads(1, n, 1)) for n in range(1, 900))
    with pytest.raises(InputError, match="this model has 899 kinds of layers, more than a link can hold"):
        spell(CacheShape("", 899, 1, groups))


def test_a_spelled_cache_that_cannot_be_is_refused_as_such() -> None:
    with pytest.raises(ConfigError, match=r"n_heads \(32\) must be a multiple of n_kv_heads \(5\)"):
        read_spelled("32x32.b...-32:5x128x128")
    with pytest.raises(ConfigError, match="must be a whole number from 1 to 10,000"):
        read_spelled(f"{'9' * 40}x32.b...-1:0")


def test_a_form_knows_windows_and_layers_without_a_cache() -> None:
    shape = of_form(11, 6, Heads(2, 7, 5), Odd(13, 4, 3))
    assert [(g.count, g.window, g.row is None) for g in shape.groups] == [
        (4, None, False),
        (4, 13, False),
        (3, None, True),
    ]
    assert bytes_at(shape, 100, BF16) == (4 * 100 + 4 * 13) * 24 * 2
    assert [g.count for g in of_form(3, 6, Heads(2, 7, 5), Odd(13, 3)).groups] == [3]
    assert of_form(3, 6, MLADims(8, 7, 2, 5)).mla == MLADims(8, 7, 2, 5)


@pytest.mark.parametrize("odd", [(13, 12, 0), (13, 0, 12), (13, 6, 6)])
def test_a_form_with_more_odd_layers_than_layers_is_refused(odd: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="must be at most the 11 layers"):
        of_form(11, 6, Heads(2, 7, 5), Odd(*odd))


def test_weights_take_their_room_first() -> None:
    shape = CATALOGUE["llama-3-1-8b"].shape
    plan = Deployment(shape, BF16, 4096, 2, 24 * 10**9, weights_bytes(8 * 10**9, BF16))
    assert (plan.room, plan.tokens, plan.users) == (
        8 * 10**9,
        8 * 10**9 // (2 * 131_072),
        8 * 10**9 // (4096 * 131_072),
    )
    assert plan.total([1, 4096]) == [16 * 10**9 + 2 * 131_072, 16 * 10**9 + plan.size]
    full = replace(plan, memory=10**9)
    assert (full.room, full.tokens, full.users) == (0, 0, 0)
    unknown = replace(plan, weights=None)
    assert unknown.room is None and unknown.tokens == 24 * 10**9 // (2 * 131_072)


def test_a_sheet_has_a_row_a_model_and_says_how() -> None:
    shapes = [CATALOGUE[slug].shape for slug in ("gemma-3-27b", "starcoder2-7b")]
    table = list(csv.DictReader(io.StringIO(to_csv(shapes, [BF16, BF16], 5000, 2, [10**10, 10**9]))))
    assert [row["model"] for row in table] == ["Gemma 3 27B", "StarCoder2 7B"]
    assert float(table[0]["bytes per token"]) == 507_904 and float(table[0]["of which growing"]) == 81_920
    assert int(table[0]["bytes"]) == bytes_at(shapes[0], 5000, BF16, 2)
    assert table[1]["tokens that fit"] == "" and "min(5,000, 4,096)" in table[1]["formula"]
    curves = list(csv.DictReader(io.StringIO(curves_to_csv(shapes, [BF16, BF16], [1, 5000], 2))))
    assert [int(row["Gemma 3 27B"]) for row in curves] == [bytes_at(shapes[0], n, BF16, 2) for n in (1, 5000)]
