"""Files that calculators read wrongly, each with its source, the right bytes and the reason; and others of the same kinds.

The cases are cut from published files (their owners' licences; only numbers of shapes are kept), see each one's source.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headlight.core.errors import UnsupportedModelError
from headlight.core.memory.config.hf_config import ParsedConfig, read_config
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.sizes import bytes_at, indexer_bytes_at

CASES = {case["name"]: case for case in json.loads((Path(__file__).parents[1] / "data/config_cases.json").read_text())}
REFUSED = ("distilbert", "xlstm-7b")
BY_BYTES = [name for name, case in CASES.items() if not isinstance(case["expected_bytes_or_behaviour"], str)]


def read(config: dict[str, Any]) -> ParsedConfig:
    return read_config(json.dumps(config))


def size(reading: ParsedConfig, context: int, batch: int = 1) -> int:
    return bytes_at(reading.shape, context, PRECISIONS[reading.shape.native], batch)


@pytest.mark.parametrize("name", BY_BYTES)
def test_a_case_has_its_bytes(name: str) -> None:
    case = CASES[name]
    said = case["expected_bytes_or_behaviour"]
    reading = read(case["config"])
    assert size(reading, case["context"], case["batch"]) == (said if isinstance(said, int) else said["expected"])
    assert not reading.unread


@pytest.mark.parametrize("name", REFUSED)
def test_what_keeps_no_cache_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedModelError, match="no KV cache"):
        read(CASES[name]["config"])


def test_indexers_in_some_layers_are_counted_in_those() -> None:
    case = CASES["indexer_types-shared"]
    shape = read(case["config"]).shape
    assert shape.indexed == 4
    assert indexer_bytes_at(shape, case["context"], PRECISIONS["bf16"]) == 1856


def test_a_ratio_of_one_keeps_a_row_a_token() -> None:
    """Windows of 8 in 4 layers; rows of 32 with an indexer's 32 beside them at 100 / 2 and 100 tokens (DeepSeek-V4.1)."""
    case = CASES["compress-ratio-1"]
    reading = read(case["config"])
    assert size(reading, 100) == 2 * (4 * 8 * 32 + 50 * 64 + 100 * 64)


def test_every_case_is_tested() -> None:
    assert {*BY_BYTES, *REFUSED, "indexer_types-shared", "compress-ratio-1"} == set(CASES)
