"""What is kept of a long text: what each layer's attention read, in a file that goes when nobody holds it any more.

Keys and queries of a layer are one projection away from there (`Attention.project`), and this is smaller than both: d_model
values per token per layer. SmolLM2 keeps 566 MB of 8,192 tokens, which would be too much memory for a few visitors at once;
on disk (and in the system's file cache, as long as nothing else needs the memory) a layer is read in some milliseconds.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from headlight.core.errors import InputError


class ActivationStore:
    """(n_layers, length, d_model) numbers on disk, written in parts and read a layer at a time.

    folder: where the file goes, None for the system's place for temporary files; it has no name there, so that nobody else
    can open it and nothing of it stays. Raises InputError where there is no room.
    """

    def __init__(
        self, n_layers: int, length: int, d_model: int, dtype: torch.dtype, folder: Path | None = None
    ) -> None:
        self._shape, self._dtype = (n_layers, length, d_model), dtype
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed with the activations
        except OSError as error:
            raise InputError(f"what is read cannot be kept ({error.strerror})") from error

    @property
    def nbytes(self) -> int:
        """Bytes on disk when all layers are written."""
        n_layers, length, d_model = self._shape
        return n_layers * length * d_model * self._dtype.itemsize

    def write(self, layer: int, start: int, x: Float[Tensor, "seq d_model"]) -> None:
        """Puts the tokens from `start` on of a layer; raises InputError where the disk is full."""
        raw = x.detach().to("cpu", self._dtype).contiguous().view(torch.uint8).numpy().data
        try:
            written = os.pwrite(self._file.fileno(), raw, self._offset(layer, start))
        except OSError as error:
            raise InputError(f"there is no room on disk to keep this text ({error.strerror})") from error
        if written != raw.nbytes:
            raise InputError("there is no room on disk to keep this text")

    def read(self, layer: int, device: torch.device) -> Float[Tensor, "seq d_model"]:
        """A layer's numbers."""
        raw = bytearray(self._shape[1] * self._shape[2] * self._dtype.itemsize)
        os.preadv(self._file.fileno(), [raw], self._offset(layer, 0))
        return torch.frombuffer(raw, dtype=self._dtype).view(self._shape[1:]).to(device)

    def _offset(self, layer: int, start: int) -> int:
        return (layer * self._shape[1] + start) * self._shape[2] * self._dtype.itemsize
