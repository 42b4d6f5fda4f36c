"""Long texts' choices, links and grains; what its browser-side parts are handed and what they may answer; the readings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headlight import run
from headlight.core.errors import BusyError, InputError
from headlight.core.long.pooling import Region, pool
from headlight.core.long.reading import read
from headlight.core.serving.engine import Engine
from headlight.core.serving.readings import ReadingStore
from headlight.core.settings import Caches, Requests, Settings
from headlight.viz.components.deep_map import STEPS, Tile, _moved, _planes, codes
from headlight.viz.figures import tiles as long_maps
from headlight.viz.pages.long.choices import (
    CELLS,
    LINKED,
    OWN,
    LongChoices,
    around,
    clamp,
    grain,
    settle,
)

TEXT = "The old dog saw the young cat, and the cat saw the dog. " * 9
FALLBACK = LongChoices(model="smollm2")


@pytest.mark.parametrize(
    "choices",
    [
        FALLBACK,
        LongChoices("gqa-rope", "again", layer=3, head=5, view=(100, 200, 0, 100), query=7, key=3, shows="mass",
                    colours="linear", looks="by", section="beyond", score="near"),
        LongChoices("minilm", OWN, pasted="A dog & a cat\n\n= 100% 🦊"),
    ],
)  # fmt: skip
def test_a_link_brings_back_the_choices_it_was_made_of(choices: LongChoices) -> None:
    assert LongChoices.parse(choices.link(), FALLBACK) == (choices, [])


def test_a_text_too_long_for_a_link_is_told_and_an_example_shown() -> None:
    link = LongChoices("smollm2", OWN, view=(3, 9, 0, 6), query=5).link()
    choices, notes = LongChoices.parse(link, FALLBACK)
    assert "pasted" not in link and choices.example == "giant" and choices.view is None and choices.query is None
    assert "too long for it" in notes[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("view", "1.2.3"), ("view", "5.5.0.3"), ("view", "a.b.c.d"), ("view", "1.2.3.4.5"), ("layer", "-1"), ("head", "x"),
     ("shows", "all"), ("colours", "red"), ("looks", "up"), ("section", "none"), ("score", "best"), ("query", "9" * 30)],
)  # fmt: skip
def test_nonsense_in_a_link_is_noted_once_and_chosen_for(name: str, value: str) -> None:
    choices, notes = LongChoices.parse({name: value}, FALLBACK)
    assert choices == FALLBACK and len(notes) == 1


def test_a_pasted_text_in_a_link_is_no_longer_than_links_may_be() -> None:
    assert LongChoices.parse({"pasted": "x" * 99_999}, FALLBACK)[0].pasted == "x" * LINKED


def test_what_does_not_exist_becomes_the_nearest_that_does() -> None:
    asked = LongChoices("m", layer=99, head=50, query=500, key=499, view=(400, 900, 0, 500))
    choices, notes = settle(asked, n_layers=4, n_heads=6, length=300, causal=True)
    assert (choices.layer, choices.head, choices.query, choices.key, choices.view) == (3, 5, 299, 299, None)
    assert notes == ["Layer 99 does not exist; showing the last one.", "Head 50 does not exist; showing the last one."]
    choices, _ = settle(LongChoices("m", query=5, key=9), n_layers=4, n_heads=6, length=300, causal=True)
    assert (choices.layer, choices.head, choices.key) == (2, 0, 5)
    assert settle(LongChoices("m"), n_layers=4, n_heads=6, length=300, causal=True, spot=(1, 3))[0].head == 3


@given(st.integers(1, 9000), st.data())
def test_every_view_has_a_grain_that_covers_it_in_few_enough_cells(length: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, length))
    q0, k0 = (data.draw(st.integers(0, length - size)) for _ in range(2))
    part, cell = grain((q0, q0 + size, k0, k0 + size), length)
    rows, cols = Region(part[:2], part[2:], cell).shape
    assert part[0] <= q0 and part[1] >= q0 + size and part[2] <= k0 and part[3] >= k0 + size
    assert part[0] % cell == 0 == part[2] % cell and part[1] <= length and part[3] <= length
    assert max(rows, cols) <= CELLS + 1
    view = around(q0, k0, length)
    assert view is None or (view[0] <= q0 < view[1] and view[2] <= k0 < view[3] and view == clamp(view, length))


def tile(shape=(7, 5), cell=3, part=(30, 51, 60, 75)) -> Tile:
    draw = np.random.default_rng(5)
    values = draw.random(shape)
    inside = draw.integers(0, cell, (*shape, 2))
    starts = np.stack(np.meshgrid(np.arange(7) * cell + 30, np.arange(5) * cell + 60, indexing="ij"), -1)
    return Tile(part, cell, values, draw.random(shape) > 0.2, values, starts + inside)


def test_codes_are_ten_thousandths_and_forbidden_is_not_zero() -> None:
    assert codes(np.array([0, 0.00004, 0.5, 1, 0.3]), np.array([True] * 4 + [False])).tolist() == [
        1,
        1,
        5001,
        STEPS + 1,
        0,
    ]


def test_a_tiles_bytes_say_its_values_and_where_in_each_cell_the_strongest_pair_is() -> None:
    made = tile()
    planes = {name: joined(raw, (7, 5)) for name, raw in _planes(made).items()}
    np.testing.assert_array_equal(planes["values"], codes(made.values, made.allowed))
    rows, cols = np.nonzero(made.allowed)
    query = planes["query"] + np.arange(7)[:, None] * 3 + 30
    key = planes["key"] + np.arange(5) * 3 + 60
    np.testing.assert_array_equal(np.stack([query, key], -1)[rows, cols], made.strongest[rows, cols])
    assert set(_planes(Tile(made.part, 1, made.values, made.allowed))) == {"values"}


def joined(raw: bytes, shape: tuple[int, int]) -> np.ndarray:
    low, high = np.frombuffer(raw, np.uint8).reshape(2, *shape).astype(int)
    return low + 256 * high


@pytest.mark.parametrize(
    "value",
    [None, 5, "view", {}, {"view": [0, 9, 0]}, {"view": [0, 9, 0, 9]}, {"number": 1, "view": [0, 9, 0, 10**9]},
     {"number": 1, "view": [5, 5, 0, 3]}, {"number": 1, "view": [0, 3, 4, 2]}, {"number": 1, "view": [0, "3", 0, 3]},
     {"number": -1, "view": [0, 3, 0, 3]}, {"number": True, "view": [0, 3, 0, 3]}, {"number": 1, "view": [0, 1.5, 0, 3]}],
)  # fmt: skip
def test_a_request_that_is_none_is_ignored(value: object) -> None:
    assert _moved(value, 100) is None


def test_a_request_and_a_pair_outside_the_text() -> None:
    good = _moved({"number": 3, "view": [0, 100, 0, 100], "pair": {"query": 99, "key": 0}}, 100)
    assert good is not None and (good.number, good.view, good.pair) == (3, (0, 100, 0, 100), (99, 0))
    outside = _moved({"number": 3, "view": [0, 100, 0, 100], "pair": {"query": 100, "key": 0}}, 100)
    assert outside is not None and outside.pair is None


@pytest.fixture
def kept():
    engine = Engine("cpu")
    model = engine.model("gqa-rope")
    reading = read(model, model.tokens(TEXT))
    return ReadingStore(engine), "key", reading


def test_tiles_rows_and_small_maps_are_the_models_weights(kept) -> None:
    readings, key, reading = kept
    weights = run(reading.model, reading.tokens).layers[2].weights
    n = len(reading.tokens)
    made = long_maps.tile(readings, key, reading, 2, 4, (0, n, 0, n), 5, "largest")
    expected = pool(reading.model.attention, reading.projections(2), Region((0, n), (0, n), 5), [4])
    np.testing.assert_allclose(made.values, expected.largest[0], atol=1e-6)
    query, key_at = made.strongest[..., 0], made.strongest[..., 1]
    np.testing.assert_allclose(weights[4].numpy()[query, key_at][made.allowed], made.values[made.allowed], atol=1e-6)
    share = long_maps.tile(readings, key, reading, 2, 4, (0, n, 0, n), 5, "mass")
    np.testing.assert_allclose(share.values.sum(-1), 1, atol=1e-5)
    row, allowed = long_maps.one(readings, key, reading, 2, 4, 50, "at")
    np.testing.assert_allclose(row, weights[4, 50], atol=1e-6)
    assert allowed.tolist() == [u <= 50 for u in range(n)]
    column, allowed = long_maps.one(readings, key, reading, 2, 4, 50, "by")
    np.testing.assert_allclose(column, weights[4, :, 50], atol=1e-6)
    assert allowed.tolist() == [t >= 50 for t in range(n)]
    small, _ = long_maps.small_maps(readings, key, reading, 2, "largest")
    assert small.shape[0] == 6 and max(small.shape[1:]) <= long_maps.SMALL
    np.testing.assert_allclose(small.max((1, 2)), weights.amax((1, 2)), atol=1e-6)


def test_the_overview_is_the_same_map_coarser(kept) -> None:
    readings, key, reading = kept
    n = len(reading.tokens)
    fine = long_maps.tile(readings, key, reading, 1, 0, (0, n, 0, n), 1, "largest")
    coarse = long_maps.overview(fine)
    assert max(coarse.values.shape) <= long_maps.OVERVIEW and coarse.values.max() == fine.values.max()
    assert coarse.cell == 1 or coarse.values[0, 0] == fine.values[: coarse.cell, : coarse.cell].max()


def test_ramp_places_are_those_of_the_browser() -> None:
    values = np.array([0, 0.001, 0.01, 0.1, 1])
    assert long_maps.ramp_places(values, "log").tolist() == [0, 0, 85, 170, 255]
    assert long_maps.ramp_places(values, "linear").tolist() == [0, 0, 3, 26, 255]


def finished(readings: ReadingStore, name: str, text: str, visitor: str):
    tokens = readings._engine.model(name).tokens(text)
    job = readings.read(name, tokens, visitor)
    job.join(60.0)
    return readings.key(name, tokens), job


def test_two_visitors_share_one_reading_of_one_text() -> None:
    readings = ReadingStore(Engine("cpu"))
    tokens = readings._engine.model("gqa-rope").tokens(TEXT)
    one, other = readings.read("gqa-rope", tokens, "me"), readings.read("gqa-rope", tokens, "you")
    one.join(60.0)
    assert one is other and readings.reading(readings.key("gqa-rope", tokens)) is not None


def test_readings_are_kept_within_their_bytes_and_the_oldest_goes() -> None:
    model = Engine("cpu").model("gqa-rope")
    size = read(model, model.tokens(TEXT)).activations.nbytes
    readings = ReadingStore(Engine("cpu", settings=Settings(caches=Caches(readings=2 * size + 100))))
    keys = [finished(readings, "gqa-rope", text, "me")[0] for text in (TEXT, "a" + TEXT[1:], "A" + TEXT[1:])]
    there = [readings.reading(key) is not None for key in keys]
    assert there[0] is False and there[2] is True


def test_a_text_that_would_not_fit_is_refused() -> None:
    readings = ReadingStore(Engine("cpu", settings=Settings(caches=Caches(readings=1000))))
    with pytest.raises(InputError, match=r"would keep [0-9,]+ bytes; 1,000 are the limit"):
        finished(readings, "gqa-rope", TEXT, "me")


def test_too_many_texts_at_once_wait() -> None:
    readings = ReadingStore(Engine("cpu", settings=Settings(requests=Requests(documents=1))))
    model = readings._engine.model("gqa-rope")
    with readings.turn():  # nobody gets on meanwhile
        job = readings.read("gqa-rope", model.tokens(TEXT), "me")
        with pytest.raises(BusyError, match="1 long texts are being read just now"):
            readings.read("gqa-rope", model.tokens("another " + TEXT), "you")
        job.give_up("me")
    job.join(60.0)
    assert job.stopped and not job.running
    finished(readings, "gqa-rope", "another " + TEXT, "you")


def test_a_given_up_text_is_read_anew_by_the_next_visitor() -> None:
    readings = ReadingStore(Engine("cpu"))
    tokens = readings._engine.model("gqa-rope").tokens(TEXT)
    with readings.turn():
        first = readings.read("gqa-rope", tokens, "me")
        first.give_up("me")
    first.join(60.0)
    assert first.stopped and readings.reading(readings.key("gqa-rope", tokens)) is None
    _, second = finished(readings, "gqa-rope", TEXT, "you")
    assert second is not first and readings.reading(readings.key("gqa-rope", tokens)) is not None


def test_what_is_made_is_made_once_and_forgotten_when_too_much() -> None:
    readings = ReadingStore(Engine("cpu", settings=Settings(caches=Caches(maps=100))))
    made = []

    def make(n: int):
        return readings.made((n,), lambda t: t.nbytes, lambda: made.append(n) or torch.zeros(n, dtype=torch.uint8))

    for n in (60, 60, 50, 60, 200, 200):
        make(n)
    assert made == [60, 50, 60, 200, 200] and readings.knows((60,)) and not readings.knows((200,))
