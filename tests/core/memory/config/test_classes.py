"""Every class of transformers whose cache could be built: its file gives the same numbers, or says why not.

data/classes.json.gz is made by scripts/class_caches.py from transformers 5.23 (Apache-2.0): [model_type, config, numbers kept].
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from headlight.core.errors import HeadlightError
from headlight.core.memory.config.hf_config import read_config
from headlight.core.memory.sizes import elements_at

CONTEXTS = (100, 3000, 40_000, 500_000)
CLASSES = json.loads(gzip.decompress((Path(__file__).parents[1] / "data/classes.json.gz").read_bytes()))
SAID = {"deepseek_v4", "gpt_neo"}  # counted otherwise, and a note says so


def outcome(config: dict[str, object], kept: list[int]) -> str:
    try:
        reading = read_config(json.dumps(config))
    except HeadlightError:
        return "refused"
    equal = [elements_at(reading.shape, n) for n in CONTEXTS] == kept
    return "equal" if equal else "said" if reading.notes or reading.unread else "WRONG"


def test_no_class_is_read_wrongly_in_silence() -> None:
    outcomes = {name: outcome(config, kept) for name, config, kept in CLASSES}
    assert [name for name, what in outcomes.items() if what == "WRONG"] == []
    assert {name for name, what in outcomes.items() if what == "said"} <= SAID
    assert sum(what == "equal" for what in outcomes.values()) >= 150
