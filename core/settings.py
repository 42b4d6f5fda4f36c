"""What an operator may set, from a file and the environment: every limit in one place, checked when it is read.

A section is a frozen dataclass; a value's default, least and most are one row of it. HEADLIGHT_SECTION_NAME in the environment
(HEADLIGHT_TEXT_MAX_TOKENS=1024) overrides the file, and the file overrides the defaults. The file is the one that
HEADLIGHT_SETTINGS names, else `headlight.toml` of the checkout; an installed package has none, and needs none.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    ValidationError,
    WrapValidator,
    create_model,
)
from pydantic.dataclasses import dataclass
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

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

S = TypeVar("S", bound=BaseSettings)
_CLOSED = ConfigDict(extra="forbid")  # a name that sets nothing is refused


class _Variable(str):
    """Text from the environment, where a number or a list has no other form; in the file "12" is no number."""


def must(sentence: str) -> WrapValidator:
    """For a field that pydantic checks: what is refused is refused with this sentence, "must be ..."."""

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(sentence) from None

    return WrapValidator(check)


def _whole(least: int, most: int) -> BeforeValidator:
    """A whole number between two others, both included."""

    def check(value: Any) -> int:
        if isinstance(value, _Variable) and value.isascii() and value.isdecimal() and len(value) < 20:
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"must be a whole number, from {least:,} to {most:,}")
        return value

    return BeforeValidator(check)


def _parts(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, _Variable) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_parts), must('must be a list of names: ["minilm", "smollm2"]')]
Line = Annotated[str, must("must be text in quotes")]


@dataclass(frozen=True, config=_CLOSED)
class Text:
    """What one request may ask for: max_tokens of a text (a model's context may be less), max_characters before tokenizing.

    long_tokens and long_characters: the same for documents, which are read in parts beside other work (`core.long`) and
    whose maps are pooled.
    """

    max_tokens: Annotated[int, _whole(1, 1_000_000)] = 512
    max_characters: Annotated[int, _whole(1, 10_000_000)] = 20_000
    long_tokens: Annotated[int, _whole(1, 1_000_000)] = 8192
    long_characters: Annotated[int, _whole(1, 10_000_000)] = 500_000


@dataclass(frozen=True, config=_CLOSED)
class Models:
    """offered: names of the catalogue, none for all; max_parameters of a checkpoint of one's own; added_bytes: of checkpoints
    that visitors named; cache: folder for converted weights, empty for the user's."""

    offered: Names = ()
    max_parameters: Annotated[int, _whole(1, 10**13)] = 2_000_000_000
    added_bytes: Annotated[int, _whole(MIB, 10**15)] = 16 * GIB
    cache: Line = ""


@dataclass(frozen=True, config=_CLOSED)
class Uploads:
    """Bytes of a text file, of a config.json, of all files that one visitor sent, of all visitors' files together."""

    text_bytes: Annotated[int, _whole(1, GIB)] = 5 * MIB
    config_bytes: Annotated[int, _whole(1, GIB)] = 4 * MIB
    visitor_bytes: Annotated[int, _whole(1, GIB)] = 12 * MIB
    all_bytes: Annotated[int, _whole(1, 64 * GIB)] = 96 * MIB


@dataclass(frozen=True, config=_CLOSED)
class Exports:
    """max_bytes: of one file that a visitor takes away; a larger one is refused before it is made."""

    max_bytes: Annotated[int, _whole(1, 64 * GIB)] = 128 * MIB


@dataclass(frozen=True, config=_CLOSED)
class Caches:
    """Bytes that each cache holds at most, of all visitors together; `readings` are on disk, the others in memory."""

    runs: Annotated[int, _whole(0, 10**13)] = 192 * MIB
    held: Annotated[int, _whole(0, 10**13)] = 8 * MIB
    samples: Annotated[int, _whole(0, 10**13)] = 64 * MIB
    continuations: Annotated[int, _whole(0, 10**13)] = 192 * MIB
    documents: Annotated[int, _whole(0, 10**13)] = 64 * MIB
    readings: Annotated[int, _whole(0, 10**14)] = 4 * GIB
    projections: Annotated[int, _whole(0, 10**13)] = 128 * MIB
    maps: Annotated[int, _whole(0, 10**13)] = 128 * MIB
    prepared: Annotated[int, _whole(0, 10**13)] = 256 * MIB
    inputs: Annotated[int, _whole(0, 10**13)] = 64 * MIB
    converted_runs: Annotated[int, _whole(0, 10**13)] = 64 * MIB
    moments: Annotated[int, _whole(0, 10**13)] = 160 * MIB


@dataclass(frozen=True, config=_CLOSED)
class Requests:
    """seconds a request may compute; waiting: how many may wait for the device; waiting_of_one: of one visitor, a newer one
    takes the place of the oldest; documents: long texts under way at once; elsewhere: requests that other processes compute at
    once."""

    seconds: Annotated[int, _whole(1, 86_400)] = 30
    waiting: Annotated[int, _whole(1, 100_000)] = 64
    waiting_of_one: Annotated[int, _whole(1, 1_000)] = 1
    documents: Annotated[int, _whole(1, 1_000)] = 4
    elsewhere: Annotated[int, _whole(1, 10_000)] = 16


@dataclass(frozen=True, config=_CLOSED)
class Sessions:
    """open: pages open at once, of all visitors; who comes beyond that reads that it is full."""

    open: Annotated[int, _whole(1, 1_000_000)] = 400


@dataclass(frozen=True, config=_CLOSED)
class Settings:
    """All sections; made by hand, it holds the defaults.

    >>> read(Path("no such file"), {}).text.max_tokens
    512
    >>> read(Path("no such file"), {"HEADLIGHT_REQUESTS_SECONDS": "5"}).requests.seconds
    5
    """

    text: Text = Text()
    models: Models = Models()
    uploads: Uploads = Uploads()
    exports: Exports = Exports()
    caches: Caches = Caches()
    requests: Requests = Requests()
    sessions: Sessions = Sessions()


SECTIONS: Mapping[str, Any] = {each.name: type(each.default) for each in fields(Settings)}  # type: ignore[arg-type]
_OURS = re.compile(rf"HEADLIGHT_({'|'.join(SECTIONS)})_(.+)", re.IGNORECASE)


class _Sources(BaseSettings):
    """`variables`, by our long names in lower case, override the TOML of `file`."""

    model_config = SettingsConfigDict(
        env_prefix="headlight_", env_nested_delimiter="_", env_nested_max_split=1, enable_decoding=False
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Any, *others: Any, **more: Any
    ) -> tuple[Any, ...]:
        """The two sources, from what the class is called with."""
        variables = EnvSettingsSource(settings_cls)
        variables.env_vars = init_settings.init_kwargs["variables"]
        return variables, TomlConfigSettingsSource(settings_cls, init_settings.init_kwargs["file"])


_FIELDS: dict[str, Any] = {name: (kind, kind()) for name, kind in SECTIONS.items()}
_Read: Any = create_model("_Read", __base__=_Sources, **_FIELDS)


def read(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of a file, the defaults where it says nothing or there is none, each overridden by the environment.

    file: None for the one that HEADLIGHT_SETTINGS names, else the checkout's. environment: None for os.environ. Raises
    ConfigError for a file that is no TOML or that HEADLIGHT_SETTINGS names in vain, and for a name, a type or a number that
    cannot be.
    """
    environment = os.environ if environment is None else environment
    file = file or _file(environment)
    places = {variable: place for variable in environment if (place := _place(variable)) is not None}
    variables = {"headlight_{}_{}".format(*place): _Variable(environment[v]) for v, place in places.items()}
    try:
        found = _Read(variables=variables, file=file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name} is no readable TOML: {error}") from error
    except ValidationError as error:
        told = {place: variable for variable, place in places.items()}
        raise ConfigError(_sentence(error.errors()[0], file.name, told)) from None
    return Settings(**{name: getattr(found, name) for name in SECTIONS})


def from_environment(kind: type[S]) -> S:
    """Settings that the environment alone gives; raises ConfigError with the variable's name. Fields end in `must`."""
    try:
        return kind()
    except ValidationError as error:
        first = error.errors()[0]
        variable = f"{kind.model_config['env_prefix']}{first['loc'][0]}".upper()
        raise ConfigError(f"{variable} ({first['input']!r}) {first['ctx']['error']}") from None


def _file(environment: Mapping[str, str]) -> Path:
    if not (named := environment.get("HEADLIGHT_SETTINGS", "")):
        return FILE
    if not Path(named).is_file():
        raise ConfigError(f"HEADLIGHT_SETTINGS ({named!r}) must be the path of a file")
    return Path(named)


def _place(variable: str) -> tuple[str, str] | None:
    """Section and name that a variable sets; None for one that belongs to something else."""
    if variable in SHORT:
        return SHORT[variable]
    ours = _OURS.fullmatch(variable)
    return (ours[1].lower(), ours[2].lower()) if ours else None


def _sentence(refused: Any, file: str, variables: Mapping[tuple[str, str], str]) -> str:
    """What pydantic refused, by the name of the variable, or by the place in the file, that set it."""
    section, *names = refused["loc"]
    if not names:
        return f"{file} has no section [{section}]; there are {', '.join(SECTIONS)}"
    place = variables.get((section, names[0]), f"{file}, [{section}] {names[0]}")
    if refused["type"] == "unexpected_keyword_argument":
        return f"{place} sets nothing; [{section}] has {', '.join(each.name for each in fields(SECTIONS[section]))}"
    return f"{place} ({refused['input']!r}) {refused['ctx']['error']}"
