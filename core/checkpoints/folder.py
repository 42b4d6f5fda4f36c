"""A folder with config.json and model.safetensors: read, checked, and moved to a device and precision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from headlight.core.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]


class Config(dict[str, Any]):
    """A checkpoint's configuration; a missing key is a CheckpointError that names it."""

    def __missing__(self, key: str) -> Any:
        raise CheckpointError(f"config.json has no {key!r}")


def read_config(folder: Path) -> Config:
    """config.json as a mapping; raises CheckpointError if it is missing or no JSON object."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"config.json cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError("config.json does not hold an object")
    return Config(config)


class Weights:
    """Named tensors of a checkpoint; a missing or misshapen one is a CheckpointError that names it."""

    def __init__(self, tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> None:
        self._tensors = tensors
        self._device, self._dtype = device, dtype

    @classmethod
    def from_file(cls, path: Path, device: torch.device, dtype: torch.dtype) -> Weights:
        """Opens a safetensors file; raises CheckpointError if it is damaged."""
        try:
            return cls(load_file(path), device, dtype)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path.name} is damaged or unreadable: {error}") from error

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise CheckpointError(f"the checkpoint has no tensor {name!r}")
        return self._tensors[name].to(device=self._device, dtype=self._dtype)

    @staticmethod
    def checked(params: dict[str, Tensor], shapes: Shapes, where: str) -> dict[str, Tensor]:
        """`params`, once every tensor named in `shapes` is found to have that shape."""
        for name, shape in shapes.items():
            if tuple(params[name].shape) != shape:
                raise CheckpointError(f"{where}: {name} has shape {tuple(params[name].shape)}, not {shape}")
        return params
