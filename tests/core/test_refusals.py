"""Everything that is refused, with the words it is refused in: the values, and what would work."""

from __future__ import annotations

import re

import pytest
import torch

from headlight import load_model, run
from headlight.core.analysis.head_scores import survey
from headlight.core.attention import GQA, MHA, MQA
from headlight.core.cache import DecodingCache
from headlight.core.decoding import Decoder, continue_text
from headlight.core.errors import (
    CheckpointError,
    ConfigError,
    HeadlightError,
    InputError,
    MissingModelError,
    UnknownNameError,
    lookup,
)
from headlight.core.loading import pick_device
from headlight.core.positions import RoPE
from headlight.core.positions.scaling import Dynamic, Linear, Llama3, Yarn
from headlight.core.registry import ATTENTION, MODELS, POSITIONS
from headlight.core.serving.engine import Engine, Limits
from headlight.core.settings import read as read_settings
from headlight.core.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MHA(0, 4, 8), "d_model (0) must be positive"),
        (lambda: MHA(32, -4, 8), "n_heads (-4) must be positive"),
        (lambda: MQA(32, 4, 0), "head_dim (0) must be positive"),
        (lambda: GQA(32, 4, 8, n_kv_heads=3), "n_heads (4) must be a multiple of n_kv_heads (3)"),
        (lambda: GQA(32, 4, 8, n_kv_heads=8), "n_heads (4) must be a multiple of n_kv_heads (8)"),
        (lambda: GQA(32, 4, 8, n_kv_heads=0), "n_heads (4) must be a multiple of n_kv_heads (0)"),
        (lambda: RoPE(7), "dim (7) must be even and positive: RoPE turns pairs of dimensions"),
        (lambda: RoPE(0), "dim (0) must be even and positive: RoPE turns pairs of dimensions"),
        (lambda: pick_device("cuda:97"), "device 'cuda:97' is not available here; try cpu"),
        (lambda: pick_device("toaster"), "device 'toaster' is not available here; try cpu"),
    ],
)
def test_a_configuration_that_cannot_exist_is_refused_with_its_values(make, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make()


def test_a_layout_that_rope_does_not_have_is_refused():
    # Built without its checked constructor: in the tests the shape checker would be first to refuse.
    rope = object.__new__(RoPE)
    for name, value in (("dim", 6), ("theta", 1e4), ("layout", "spiral")):
        object.__setattr__(rope, name, value)
    with pytest.raises(ConfigError, match=r"layout \('spiral'\) must be 'half' or 'interleaved'"):
        rope.__post_init__()


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(UnknownNameError) as refusal:
        load_model("gpt-9")
    assert str(refusal.value) == f"no model is called 'gpt-9'; there are {', '.join(MODELS)}"
    assert "there are minilm, " in str(refusal.value)
    assert lookup(MODELS, "minilm", "model") is MODELS["minilm"]


@pytest.mark.parametrize("table", [ATTENTION, POSITIONS, MODELS])
def test_registry_names_are_short_and_lower_case(table):
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in table)


def test_a_layer_that_does_not_exist_is_refused(minilm, sentence):
    for layer in (6, -1):
        with pytest.raises(InputError, match=rf"layer {layer} does not exist: MiniLM has layers 0 to 5"):
            run(minilm, sentence, layers=[2, layer])


def test_a_layer_that_was_not_traced_is_refused(minilm, sentence):
    with pytest.raises(InputError, match=r"layer 3 was not traced; traced were 1, 4"):
        run(minilm, sentence, layers=[1, 4]).layers[3]


def test_a_step_that_does_not_exist_is_refused(minilm, sentence):
    with pytest.raises(InputError, match=r"no step 'vibes'; there are h, q, k, v, products, scores, masked, weights"):
        run(minilm, sentence, layers=[1]).layers[1].step("vibes")


def test_an_unknown_measure_and_a_token_outside_the_text_are_refused(minilm, sentence):
    result = run(minilm, sentence)
    with pytest.raises(InputError, match=r"no measure is called 'beauty'; there are weight, previous, first, entropy"):
        survey(result, "beauty", None, 0)
    for query, key, token in ((0, 17, 17), (17, 0, 17), (-1, 0, -1), (None, -2, -2)):
        with pytest.raises(InputError, match=f"token {token} is not in this text of 17 tokens"):
            survey(result, "weight", query, key)


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000", "\x00\x01", "\u200b"])
def test_minilm_refuses_a_text_with_nothing_to_read(minilm, text):
    with pytest.raises(InputError, match=r"^there is nothing to read in this text: type at least one word$"):
        run(minilm, text)


def test_smollm2_refuses_an_empty_text_but_reads_blanks(smollm2):
    with pytest.raises(InputError, match="there is nothing to read in this text"):
        smollm2.tokens("")
    assert "".join(smollm2.tokens("  \n").pieces) == "  \n"


def test_a_text_longer_than_the_models_context_is_refused(minilm):
    with pytest.raises(InputError, match=r"^this text has 702 tokens; MiniLM reads 512 at most here$"):
        run(minilm, "word " * 700)
    tokens = minilm.tokenizer.encode("word " * 700)
    with pytest.raises(InputError, match="702 tokens"):
        run(minilm, tokens)


@pytest.fixture(scope="module")
def narrow() -> Engine:
    return Engine("cpu", Limits(max_tokens=11, max_characters=60))


def test_the_engine_refuses_more_tokens_than_its_limit(narrow):
    assert len(narrow.tokens("minilm", "a b c d e f g h i")) == 11
    with pytest.raises(InputError, match=r"^this text has 12 tokens; MiniLM reads 11 at most here$"):
        narrow.run("minilm", "a b c d e f g h i j")


def test_the_engine_refuses_more_characters_than_its_limit_before_it_reads_them(narrow):
    assert narrow.run("minilm", "word" + " " * 56).tokens
    with pytest.raises(InputError, match=r"^this text has 1,000,000 characters; 60 are the limit here$"):
        narrow.run("no model of that name", "x" * 1_000_000)


def test_the_token_limit_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("HEADLIGHT_MAX_TOKENS", "77")
    assert Engine("cpu").limits == Limits(max_tokens=77)
    monkeypatch.delenv("HEADLIGHT_MAX_TOKENS")
    assert Engine("cpu").limits == Limits(max_tokens=512, max_characters=20_000)


def test_the_engine_loads_a_model_once():
    engine = Engine("cpu")
    assert not engine.loaded("minilm")
    assert engine.model("minilm") is engine.model("minilm")
    assert engine.loaded("minilm")
    assert engine.device == torch.device("cpu")


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is no readable tokenizer"):
        Tokenizer.from_file(tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (ConfigError, ValueError),
        (InputError, ValueError),
        (UnknownNameError, KeyError),
        (MissingModelError, FileNotFoundError),
        (CheckpointError, RuntimeError),
    ],
)
def test_every_refusal_is_a_headlight_error_and_pythons_own_kind(kind, also):
    assert issubclass(kind, HeadlightError)
    assert issubclass(kind, also)
    assert str(kind("n_heads (4)")) == "n_heads (4)"


@pytest.mark.parametrize("asked", ["many", "0", "-3", "", "1.5"])
def test_a_limit_that_is_no_number_of_tokens_is_refused(asked, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_MAX_TOKENS", asked)
    with pytest.raises(ConfigError, match=r"HEADLIGHT_MAX_TOKENS \('?.*'?\) must be a whole number"):
        read_settings()


def test_the_limit_may_be_set_from_outside(monkeypatch):
    monkeypatch.setenv("HEADLIGHT_MAX_TOKENS", "2048")
    assert read_settings().text.max_tokens == 2048


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DecodingCache(0), r"capacity \(0\) must be positive"),
        (lambda: RoPE(4, theta=-1.0), r"theta \(-1.0\) must be positive"),
        (lambda: RoPE(4, theta=float("inf")), r"theta \(inf\)"),
        (lambda: RoPE(4, scaling=Linear(0.0)), r"factor \(0.0\) must be positive"),
        (lambda: RoPE(4, scaling=Llama3(8.0, 0)), r"original \(0\) must be positive"),
        (lambda: RoPE(2, scaling=Dynamic(2.0, 16)), r"dim \(2\) must be at least 4"),
        (lambda: RoPE(4, theta=1.0, scaling=Yarn(4.0, 16)), r"theta \(1\) must not be 1"),
    ],
)
def test_sizes_that_would_hang_or_give_no_numbers_are_refused_at_construction(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_decoding_refuses_a_temperature_that_is_no_number_and_nothing_to_read(smollm2):
    with pytest.raises(InputError, match="temperature"):
        next(continue_text(smollm2, "one", 1, temperature=float("nan")))
    with pytest.raises(InputError, match="nothing to read"):
        Decoder(smollm2).read([])
