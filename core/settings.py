"""What an operator may set, from `headlight.toml` and the environment: every limit at one place, checked when it is read.

A section is a frozen dataclass; a value's default, least and most stand in one row. HEADLIGHT_SECTION_NAME in the environment
goes before the file (HEADLIGHT_TEXT_MAX_TOKENS=1024); the file goes before the defaults.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from headlight.core.errors import ConfigError

FILE = Path(__file__).resolve().parents[1] / "headlight.toml"
MIB, GIB = 2**20, 2**30

# Shorter names of some values, as they were before there was a file.
SHORT: Mapping[str, tuple[str, str]] = {
    "HEADLIGHT_MAX_TOKENS": ("text", "max_tokens"),
    "HEADLIGHT_LONG_TOKENS": ("text", "long_tokens"),
    "HEADLIGHT_MAX_PARAMETERS": ("models", "max_parameters"),
    "HEADLIGHT_CACHE": ("models", "cache"),
}


def _whole(default: int, least: int, most: int) -> Any:
    return field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True)
class Text:
    """What one request may ask for: max_tokens of a text (a model's context may be less), max_characters before tokenizing.

    long_tokens and long_characters: the same for documents, which are read in parts beside other work (`core.long`) and
    whose maps are pooled.
    """

    max_tokens: int = _whole(512, 1, 1_000_000)
    max_characters: int = _whole(20_000, 1, 10_000_000)
    long_tokens: int = _whole(8192, 1, 1_000_000)
    long_characters: int = _whole(500_000, 1, 10_000_000)


@dataclass(frozen=True)
class Models:
    """offered: names of the catalogue, none for all; max_parameters of a checkpoint of one's own; added_bytes: of checkpoints
    that visitors named; cache: folder for converted weights, empty for the user's."""

    offered: tuple[str, ...] = ()
    max_parameters: int = _whole(2_000_000_000, 1, 10**13)
    added_bytes: int = _whole(16 * GIB, MIB, 10**15)
    cache: str = ""


@dataclass(frozen=True)
class Uploads:
    """Bytes of a text file, of a config.json, of all files that one visitor sent, of all visitors' files together."""

    text_bytes: int = _whole(5 * MIB, 1, GIB)
    config_bytes: int = _whole(4 * MIB, 1, GIB)
    visitor_bytes: int = _whole(12 * MIB, 1, GIB)
    all_bytes: int = _whole(96 * MIB, 1, 64 * GIB)


@dataclass(frozen=True)
class Exports:
    """max_bytes: of one file that a visitor takes away; a larger one is refused before it is made."""

    max_bytes: int = _whole(128 * MIB, 1, 64 * GIB)


@dataclass(frozen=True)
class Caches:
    """Bytes that each cache holds at most, of all visitors together; `readings` are on disk, the others in memory."""

    runs: int = _whole(192 * MIB, 0, 10**13)
    held: int = _whole(8 * MIB, 0, 10**13)
    samples: int = _whole(64 * MIB, 0, 10**13)
    continuations: int = _whole(192 * MIB, 0, 10**13)
    documents: int = _whole(64 * MIB, 0, 10**13)
    readings: int = _whole(4 * GIB, 0, 10**14)
    projections: int = _whole(128 * MIB, 0, 10**13)
    maps: int = _whole(128 * MIB, 0, 10**13)
    prepared: int = _whole(256 * MIB, 0, 10**13)
    inputs: int = _whole(64 * MIB, 0, 10**13)
    converted_runs: int = _whole(64 * MIB, 0, 10**13)
    moments: int = _whole(160 * MIB, 0, 10**13)


@dataclass(frozen=True)
class Requests:
    """seconds a request may compute; waiting: how many may wait for the device; waiting_of_one: of one visitor, a newer one
    takes the place of the oldest; documents: long texts under way at once; elsewhere: requests that other processes compute at
    once."""

    seconds: int = _whole(30, 1, 86_400)
    waiting: int = _whole(64, 1, 100_000)
    waiting_of_one: int = _whole(1, 1, 1_000)
    documents: int = _whole(4, 1, 1_000)
    elsewhere: int = _whole(16, 1, 10_000)


@dataclass(frozen=True)
class Sessions:
    """open: pages open at once, of all visitors; who comes beyond that reads that it is full."""

    open: int = _whole(400, 1, 1_000_000)


@dataclass(frozen=True)
class Settings:
    """All sections.

    >>> read(Path("no such file"), {}).text.max_tokens
    512
    >>> read(Path("no such file"), {"HEADLIGHT_REQUESTS_SECONDS": "5"}).requests.seconds
    5
    """

    text: Text = field(default_factory=Text)
    models: Models = field(default_factory=Models)
    uploads: Uploads = field(default_factory=Uploads)
    exports: Exports = field(default_factory=Exports)
    caches: Caches = field(default_factory=Caches)
    requests: Requests = field(default_factory=Requests)
    sessions: Sessions = field(default_factory=Sessions)


SECTIONS = {each.name: type(getattr(Settings(), each.name)) for each in fields(Settings)}


def read(file: Path = FILE, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of a file (the defaults where there is none), each overridden by the environment (os.environ if None).

    Raises ConfigError for a file that is no TOML and for a name, a type or a number that cannot be.
    """
    found = _of_file(file)
    for variable, raw in (os.environ if environment is None else environment).items():
        if (place := _place(variable)) is not None:
            section, name = place
            found.setdefault(section, {})[name] = (variable, _parsed(SECTIONS[section], name, raw))
    return Settings(**{section: _section(section, values) for section, values in found.items()})


def _of_file(file: Path) -> dict[str, dict[str, tuple[str, Any]]]:
    """section -> name -> (where it was said, value)."""
    try:
        with file.open("rb") as opened:
            sections = tomllib.load(opened)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name} is no readable TOML: {error}") from error
    for section, values in sections.items():
        if section not in SECTIONS or not isinstance(values, dict):
            raise ConfigError(f"{file.name} has no section [{section}]; there are {', '.join(SECTIONS)}")
    return {
        section: {name: (f"{file.name}, [{section}] {name}", value) for name, value in values.items()}
        for section, values in sections.items()
    }


def _place(variable: str) -> tuple[str, str] | None:
    """Section and name that a variable sets; None for one that belongs to something else."""
    if variable in SHORT:
        return SHORT[variable]
    if not variable.startswith("HEADLIGHT_"):
        return None
    section, _, name = variable.removeprefix("HEADLIGHT_").lower().partition("_")
    if section not in SECTIONS or not name:
        return None
    if name not in (names := [each.name for each in fields(SECTIONS[section])]):
        raise ConfigError(f"{variable} sets nothing; [{section}] has {', '.join(names)}")
    return section, name


def _parsed(section: Any, name: str, raw: str) -> Any:
    """A variable's text as the kind of value that it is for; a number that is none stays text, to be refused by name."""
    default = getattr(section(), name)
    if isinstance(default, tuple):
        return [part.strip() for part in raw.split(",") if part.strip()]
    if isinstance(default, int) and raw.isascii() and raw.isdecimal() and len(raw) < 20:
        return int(raw)
    return raw


def _section(section: str, values: Mapping[str, tuple[str, Any]]) -> Any:
    known = {each.name: each for each in fields(SECTIONS[section])}
    for name, (said, _) in values.items():
        if name not in known:
            raise ConfigError(f"{said} sets nothing; [{section}] has {', '.join(known)}")
    return SECTIONS[section](**{name: _checked(known[name], said, value) for name, (said, value) in values.items()})


def _checked(row: Any, said: str, value: Any) -> Any:
    if "least" in row.metadata:
        least, most = row.metadata["least"], row.metadata["most"]
        if type(value) is not int or not least <= value <= most:
            raise ConfigError(f"{said} ({value!r}) must be a whole number, from {least:,} to {most:,}")
        return value
    if row.default == "":
        if not isinstance(value, str):
            raise ConfigError(f"{said} ({value!r}) must be text in quotes")
        return value
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f'{said} ({value!r}) must be a list of names: ["minilm", "smollm2"]')
    return tuple(value)
