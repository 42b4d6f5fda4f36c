"""The settings: one file, the environment before it, and whatever is wrong named with what would be right."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest

from headlight.core import settings
from headlight.core.errors import ConfigError
from headlight.core.settings import FILE, SECTIONS, SHORT, Settings, read

ROOT = Path(__file__).resolve().parents[2]


def of(tmp_path: Path, text: str, **environment: str) -> Settings:
    file = tmp_path / "headlight.toml"
    file.write_text(text)
    return read(file, environment)


def test_the_file_says_every_value_and_says_the_defaults() -> None:
    said = tomllib.loads(FILE.read_text("utf-8"))
    assert said == {
        name: {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        for name, values in asdict(Settings()).items()
    }
    assert read(FILE, {}) == Settings() == read(Path("no such file"), {})


def test_every_value_of_the_file_is_explained() -> None:
    lines = FILE.read_text("utf-8").splitlines()
    for before, line in pairwise(lines):
        if " = " in line and not line.startswith("#"):
            assert before.startswith("#") or "#" in line or line.startswith("long_characters"), line


def test_the_file_goes_before_the_defaults_and_the_environment_before_the_file(tmp_path: Path) -> None:
    text = "[text]\nmax_tokens = 64\nlong_tokens = 99\n[models]\noffered = ['minilm']\n"
    found = of(tmp_path, text, HEADLIGHT_TEXT_MAX_TOKENS="77", HEADLIGHT_CACHES_RUNS="5", HOME="/")
    assert (found.text.max_tokens, found.text.long_tokens, found.text.max_characters) == (77, 99, 20_000)
    assert found.caches.runs == 5 and found.models.offered == ("minilm",)
    assert of(tmp_path, text, HEADLIGHT_MODELS_OFFERED="a, b,").models.offered == ("a", "b")


@pytest.mark.parametrize("variable", SHORT)
def test_the_short_names_set_the_same_values(variable: str, tmp_path: Path) -> None:
    section, name = SHORT[variable]
    found = getattr(getattr(of(tmp_path, "", **{variable: "41"}), section), name)
    assert found == ("41" if name == "cache" else 41)


def test_a_file_elsewhere_is_named_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[sessions]\nopen = 7\n")
    assert read(None, {"HEADLIGHT_SETTINGS": str(file)}).sessions.open == 7
    assert read(None, {"HEADLIGHT_SETTINGS": str(file), "HEADLIGHT_SESSIONS_OPEN": "8"}).sessions.open == 8
    with pytest.raises(ConfigError, match=r"^HEADLIGHT_SETTINGS \('.*none.toml'\) must be the path of a file$"):
        read(None, {"HEADLIGHT_SETTINGS": str(tmp_path / "none.toml")})


def test_where_there_is_no_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "FILE", tmp_path / "headlight.toml")  # as in an installed package
    assert read(None, {"HOME": "/"}) == Settings()
    assert read(None, {"HEADLIGHT_CACHE": "/x"}).models.cache == "/x"


def test_variables_of_other_parts_are_let_be(tmp_path: Path) -> None:
    assert of(tmp_path, "", HEADLIGHT_CHROMIUM="/x", HEADLIGHT_ENGINE="ray", HEADLIGHT_TEXT="y") == Settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_tokens =", r"^headlight.toml is no readable TOML: "),
        ("[texts]\nmax_tokens = 3", r"^headlight.toml has no section \[texts\]; there are text, models, uploads"),
        ("text = 3", r"^headlight.toml has no section \[text\]"),
        (
            "[text]\ntokens = 3",
            r"^headlight.toml, \[text\] tokens sets nothing; \[text\] has max_tokens, max_characters",
        ),
        ("[text]\nmax_tokens = 0", r"max_tokens \(0\) must be a whole number, from 1 to 1,000,000$"),
        ("[text]\nmax_tokens = -1", r"max_tokens \(-1\) must be a whole number"),
        ("[text]\nmax_tokens = 1.5", r"max_tokens \(1.5\) must be a whole number"),
        ("[text]\nmax_tokens = true", r"max_tokens \(True\) must be a whole number"),
        ("[text]\nmax_tokens = '12'", r"max_tokens \('12'\) must be a whole number"),
        ("[requests]\nseconds = 100_000", r"seconds \(100000\) must be a whole number, from 1 to 86,400$"),
        ("[models]\noffered = 'minilm'", r"offered \('minilm'\) must be a list of names"),
        ("[models]\noffered = [3]", r"offered \(\[3\]\) must be a list of names"),
        ("[models]\ncache = 3", r"cache \(3\) must be text in quotes"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        of(tmp_path, text)


@pytest.mark.parametrize("asked", ["many", "0", "-3", "", "1.5", "9" * 30, "٣"])
def test_a_variable_that_is_no_number_is_refused_by_its_name(asked: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^HEADLIGHT_REQUESTS_WAITING \('?.*'?\) must be a whole number"):
        of(tmp_path, "", HEADLIGHT_REQUESTS_WAITING=asked)


def test_a_variable_that_sets_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^HEADLIGHT_TEXT_TOKENS sets nothing; \[text\] has max_tokens"):
        of(tmp_path, "", HEADLIGHT_TEXT_TOKENS="3")


def test_streamlits_own_limit_lets_through_what_ours_take_and_little_more() -> None:
    outer = tomllib.loads((ROOT / ".streamlit/config.toml").read_text("utf-8"))["server"]["maxUploadSize"]
    uploads = Settings().uploads
    assert outer * 2**20 == max(uploads.text_bytes, uploads.config_bytes)


def test_no_two_sections_could_be_mistaken_for_each_other() -> None:
    assert not any(f"{one}_" in f"{other}_" for one in SECTIONS for other in SECTIONS if one != other)
    assert settings.FILE == ROOT / "headlight.toml"
