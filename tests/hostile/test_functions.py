"""Some twenty thousand cases through the functions that pages hand a visitor's words, numbers and files to.

Each comes back with a value or with one of our own errors, whose message is one line; nothing else may be raised.
"""

from __future__ import annotations

import html
import json
import random
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
import torch
from safetensors.torch import save
from streamlit.runtime.state.query_params import sanitize_query_string

from headlight.core.checkpoints.folder import Weights, read_config
from headlight.core.errors import HeadlightError, InputError
from headlight.core.long import document
from headlight.core.memory.config.config_file import parse
from headlight.core.memory.config.hf_config import read_config as read_shape
from headlight.core.memory.config.spelling import read_spelled, spell
from headlight.core.serving.engine import Engine
from headlight.viz.pages.cache.choices import CacheChoices
from headlight.viz.pages.compare.choices import Comparison
from headlight.viz.pages.explore import choices as explore
from headlight.viz.pages.learn.choices import Learning
from headlight.viz.pages.long.choices import LongChoices
from headlight.viz.pages.mla.choices import InsideMLA
from headlight.viz.pages.positions.choices import Positions
from headlight.viz.pages.quality.choices import QualityChoices
from headlight.viz.pages.surgery.choices import SurgeryChoices
from headlight.viz.pages.watch.choices import WatchChoices
from headlight.viz.text import labels, markdown_text, plotly_text, visible
from headlight.viz.ui.link import Choices
from tests.hostile import making
from tests.hostile.making import TIMES

FITTING = [
    "minilm", "smollm2", "mla-rope", "1", "2", "0", "weight", "rope", "weighted", "own", "8.16", "llama-3-1-405b",
    "models", "config", "reversed", "0.9", "0.40.0.40", "A dog saw a cat",
]  # fmt: skip
PAGES: dict[str, tuple[Choices, list[str]]] = {
    "explore": (explore.Choices("a dog", "minilm"), []),
    "compare": (Comparison("a dog", ("minilm", "smollm2")), ["model", "model2", "model3", "heads"]),
    "watch": (WatchChoices("a dog", "smollm2"), []),
    "learn": (Learning(), []),
    "positions": (Positions("a dog"), []),
    "cache": (CacheChoices("a dog"), []),
    "mla": (InsideMLA("a dog"), []),
    "surgery": (SurgeryChoices("a dog"), []),
    "long": (LongChoices("smollm2"), []),
    "quality": (QualityChoices(), []),
}  # fmt: skip


def quietly(call: Callable[..., Any], *args: Any) -> Any:
    """What it gives, or None after one of our own errors with a message of one line."""
    try:
        return call(*args)
    except HeadlightError as error:
        words = str(error)
        assert words and "\n" not in words and "Traceback" not in words, words
        assert len(words) < 2_000, words[:200]
        return None


@pytest.mark.parametrize("page", PAGES)
def test_any_link_becomes_choices_that_come_back_from_their_own_link(page):
    fallback, more = PAGES[page]
    names, rng = [f.name for f in fields(fallback)] + more, random.Random(page)
    for _ in range(800 * TIMES):
        params = making.link(rng, names, FITTING)
        choices, notes = fallback.parse(params, fallback)
        assert type(choices) is type(fallback)
        assert all(making.EVIL not in note and len(note) < 300 for note in notes), (params, notes)
        again, _ = fallback.parse(choices.link(), fallback)
        assert again.link() == choices.link(), params


def test_any_address_that_a_browser_sends_can_be_written_back_to_it():
    rng = random.Random("moved")
    for _ in range(500 * TIMES):
        sent = making.sendable(f"text={making.text(rng)}&{making.text(rng)}=1")  # a frame holds no lone surrogate
        query = sanitize_query_string(sent + "&pasted=%ED%A0%80")  # one that is spelled comes as a question mark
        link = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
        choices, _ = LongChoices.parse(link | {"model": link.get("text", "")}, LongChoices("smollm2"))
        urlencode(choices.link())  # a lone surrogate would be refused here, and by Streamlit


def test_any_text_is_shown_and_is_never_markup():
    rng = random.Random("text")
    for _ in range(4000 * TIMES):
        text = making.text(rng)
        shown = plotly_text(text)
        assert not re.search(r"[<>$]|\\n", shown.replace("\\n", "")) and len(html.unescape(shown)) <= 24, ascii(text)
        assert not any(ord(c) < 0x20 for c in visible(text)), ascii(text)
        assert not re.search(r"(?<!\\)[<>\[\]()!`*_$:#|~]", re.sub(r"\\[!-/:-@\[-`{-~]", "", markdown_text(text))), (
            ascii(text)
        )
        assert len(labels((text, "b"))) == 2


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu")


@pytest.mark.parametrize("name", ["minilm", "smollm2", "gqa-rope"])
def test_any_text_is_cut_into_tokens_or_refused(engine, name):
    rng = random.Random(name)
    for _ in range(900 * TIMES):
        text = making.text(rng)
        tokens = quietly(engine.tokens, name, text)
        if tokens is None:
            continue
        assert 0 < len(tokens) <= engine.limits.max_tokens
        assert len(tokens.ids) == len(tokens.pieces) == len(tokens.spans) == len(tokens.special)
        assert all(0 <= start <= end <= len(tokens.text) for start, end in tokens.spans), ascii(text)
        json.dumps(tokens.pieces).encode()  # no lone surrogate is left, which no browser could be sent


def test_any_text_is_run_through_the_model(engine):
    rng, kept = random.Random("run"), 0
    for _ in range(120 * TIMES):
        result = quietly(engine.run, "minilm", making.text(rng)[:400])
        if result is not None:
            kept += 1
            assert bool(torch.isfinite(result.layers[3].weights).all())
    assert kept > 60


CONFIG = {
    "model_type": "deepseek_v3", "num_hidden_layers": 61, "hidden_size": 7168, "num_attention_heads": 128,
    "num_key_value_heads": 128, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "v_head_dim": 128, "max_position_embeddings": 163840, "torch_dtype": "bfloat16",
}  # fmt: skip
GQA = {
    "model_type": "gemma3_text", "num_hidden_layers": 26, "hidden_size": 1152, "num_attention_heads": 4, "head_dim": 256,
    "num_key_value_heads": 1, "sliding_window": 512, "sliding_window_pattern": 6, "layer_types": ["full_attention"] * 26,
    "max_position_embeddings": 32768,
}  # fmt: skip


def test_any_config_is_a_cache_or_is_refused():
    rng, read = random.Random("config"), 0
    for _ in range(2500 * TIMES):
        config = making.changed(rng, rng.choice((CONFIG, GQA)))
        raw = json.dumps(config)
        quietly(parse, raw)
        reading = quietly(read_shape, raw if rng.random() < 0.5 else raw.encode("utf-8", "replace"))
        if reading is not None:
            read += 1
            again = quietly(spell, reading.shape)
            assert again is None or quietly(read_spelled, again) is not None
    assert read > 100


def test_any_bytes_are_a_config_or_are_refused():
    rng, raw = random.Random("bytes"), json.dumps(CONFIG).encode()
    for deep in ("[" * 100_000, '{"a":' * 100_000, '{"a":' * 30 + "1" + "}" * 30):
        assert quietly(read_shape, deep) is None
    for _ in range(1500 * TIMES):
        quietly(read_shape, making.spoiled(rng, raw))


def test_any_spelled_shape_is_a_cache_or_is_refused():
    rng, good = random.Random("spelled"), spell(read_shape(json.dumps(GQA)).shape)
    for _ in range(1500 * TIMES):
        raw = making.spoiled(rng, good.encode()).decode("latin-1") if rng.random() < 0.7 else making.text(rng)
        quietly(read_spelled, raw)


def test_any_file_is_a_document_or_is_refused(engine):
    rng, raw = random.Random("document"), ("The animal, too tired. " * 30).encode()
    for _ in range(1500 * TIMES):
        kind = rng.random()
        file = (
            making.spoiled(rng, raw)
            if kind < 0.6
            else making.text(rng).encode("utf-16" if kind < 0.8 else "utf-8", "replace")
        )
        read = quietly(document.decode, file, f"“{making.text(rng)[:20]}”".replace("\n", " "))
        if read is not None:
            assert read[0].strip() and "\r" not in read[0]


def test_any_checkpoint_is_weights_or_is_refused(tmp_path):
    rng, raw = random.Random("weights"), save({"a": torch.arange(11.0), "b": torch.ones(3, 5)})
    path = tmp_path / "model.safetensors"
    for _ in range(700 * TIMES):
        path.write_bytes(making.spoiled(rng, raw))
        weights = quietly(Weights.from_file, path, torch.device("cpu"), torch.float32)
        if weights is not None:
            quietly(weights.__getitem__, "b")
        (tmp_path / "config.json").write_bytes(making.spoiled(rng, json.dumps(CONFIG).encode()))
        quietly(read_config, tmp_path)


def test_what_is_too_long_is_refused_before_anything_is_made_of_it(engine):
    for text in ("a" * 20_001, "\ud800" * 10**6, "🏳️‍🌈" * 10**6):
        with pytest.raises(InputError, match="characters"):
            engine.tokens("minilm", text)
