"""Models by name, on the device and in the precision that is asked for."""

from __future__ import annotations

from pathlib import Path

import torch

from headlight.core.checkpoints.gguf_llama import Progress
from headlight.core.errors import ConfigError, lookup
from headlight.core.model import Readable
from headlight.core.registry import MODELS, ModelRow, own, with_attention


def pick_device(name: str | None = None) -> torch.device:
    """The device called `name`, or the best there is: CUDA, else MPS, else CPU. Raises ConfigError if it is not there."""
    if name in (None, "", "auto"):
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} is not available here; try cpu") from error
    return device


def load_model(
    name: str, device: str | None = None, dtype: torch.dtype = torch.float32, progress: Progress | None = None,
    attention: str | None = None, base: Readable | None = None,
) -> Readable:  # fmt: skip
    """A model ready to run: one of the registry by name ("minilm", "smollm2"), or a checkpoint of your own.

    name: of the registry, or a folder with safetensors weights, or "org/name" on the Hugging Face Hub (the last two need
    the extra [hub]). device: "cpu", "cuda", "mps" or None for the best there is. progress(done 0-1, what) is called
    while it takes long. attention: the same model with another attention, "mha", "gqa", "mqa", "mla" or "latent":
    load_model("smollm2", attention="mla") is load_model("smollm2-mla"). base: for such a variant, the model that it is laid
    over, loaded before: all but the attention is then shared with it, its device and precision, too.

    Raises UnknownNameError, MissingModelError (with the command that helps), CheckpointError or UnsupportedModelError.
    """
    looks_own = "/" in name or Path(name).expanduser().is_dir()
    if attention is not None:
        name = with_attention(name, attention)
    row: ModelRow = own(name) if name not in MODELS and looks_own else lookup(MODELS, name, "model")
    if base is not None and row.over is not None:
        return row.over(base)
    return row.load(pick_device(device), dtype, progress)
