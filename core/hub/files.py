"""Checks of a checkpoint's files before any of them is used: what they hold, what they ask for, what they may not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from headlight.core.checkpoints.folder import Config, read_config
from headlight.core.errors import CheckpointError, UnsupportedModelError
from headlight.core.settings import read as read_settings

INDEX = "model.safetensors.index.json"
MAX_JSON_BYTES = 4 * 2**20
MAX_TOKENIZER_BYTES = 64 * 2**20
MAX_LAYERS = 1_000
_LAYERS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer", "encoder_layers", "decoder_layers", "depth")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")


def max_parameters() -> int:
    """How large a checkpoint may be, in parameters (4 bytes each in float32), by the settings."""
    return read_settings().models.max_parameters


def check(folder: Path) -> Config:
    """The checked config.json of a folder whose weights are complete, readable and of allowed size.

    Raises CheckpointError for what is damaged, UnsupportedModelError for what Headlight does not read.
    """
    _small(folder / "config.json", MAX_JSON_BYTES)
    config = read_config(folder)
    if not isinstance(config.get("model_type"), str):
        raise CheckpointError("config.json names no model_type")
    if config.get("quantization_config"):
        raise UnsupportedModelError("its weights are quantised; Headlight reads checkpoints in full or half precision")
    if (folder / "adapter_config.json").exists():
        raise UnsupportedModelError("this is an adapter for another model; merge it into that model first")
    tensors = dict(_tensors(folder))
    _bounded(config, len(tensors))
    limit, found = max_parameters(), sum(tensors.values())
    if found > limit:
        raise UnsupportedModelError(
            f"it has {found:,} parameters; {limit:,} are the limit here (HEADLIGHT_MAX_PARAMETERS)"
        )
    return config


def _tensors(folder: Path) -> Iterator[tuple[str, int]]:
    for path in _weight_files(folder):
        try:
            with safe_open(path, framework="np") as file:
                for name in file.keys():  # noqa: SIM118  # no mapping
                    shape = file.get_slice(name).get_shape()
                    yield name, _product(shape)
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{path.name} is damaged or unreadable: {error}") from error


def _weight_files(folder: Path) -> list[Path]:
    if (folder / INDEX).exists():
        return [_plain(folder, name) for name in sorted(set(_weight_map(folder).values()))]
    if (folder / "model.safetensors").exists():
        return [folder / "model.safetensors"]
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
    if pickled:
        raise UnsupportedModelError(
            f"its weights are in {pickled[0]}, a format that may run code when it is read; Headlight reads safetensors only"
        )
    raise CheckpointError("the folder has no model.safetensors")


def _weight_map(folder: Path) -> Mapping[str, str]:
    _small(folder / INDEX, 8 * MAX_JSON_BYTES)
    try:
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{INDEX} cannot be read: {error}") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise CheckpointError(f"{INDEX} does not map tensors to files")
    return names


def _plain(folder: Path, name: str) -> Path:
    if Path(name).name != name or not name.endswith(".safetensors"):
        raise CheckpointError(f"{INDEX} names {name!r}, which is no safetensors file of this folder")
    if not (folder / name).exists():
        raise CheckpointError(f"{name} is missing")
    return folder / name


def _small(path: Path, limit: int) -> None:
    if path.exists() and path.stat().st_size > limit:
        raise CheckpointError(f"{path.name} has {path.stat().st_size:,} bytes; {limit:,} are the limit")


def _bounded(config: Any, tensors: int) -> None:
    """No count of layers beyond what the files can hold, no number beyond 2^31: a config is read before it is believed."""
    for name, value in _numbers(config):
        if name in _LAYERS and value > min(MAX_LAYERS, tensors):
            raise CheckpointError(f"config.json asks for {name} = {value:,}, but the files hold {tensors:,} tensors")
        if abs(value) > 2**31 and isinstance(value, int):
            raise CheckpointError(f"config.json asks for {name} = {value:,}, which is no sensible size")


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _product(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
