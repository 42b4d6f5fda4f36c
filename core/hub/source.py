"""A folder, or a name on the Hugging Face Hub, as a folder on this machine."""

from __future__ import annotations

from pathlib import Path

from headlight.core.errors import HeadlightError, MissingModelError, UnsupportedModelError
from headlight.core.hub import files as checks

FILES = [
    "config.json",
    "model.safetensors",
    "model-*.safetensors",
    checks.INDEX,
    "tokenizer.json",
    "tokenizer_config.json",
]
EXTRA = "pip install transformers huggingface_hub"


def locate(path_or_id: str) -> Path:
    """The checkpoint's folder: given, already downloaded, or downloaded now (safetensors, config and tokenizer only).

    "org/name" may carry a revision, "org/name@main". Raises MissingModelError for what is not there,
    UnsupportedModelError for what is too large or has no safetensors.
    """
    folder = Path(path_or_id).expanduser()
    if folder.is_dir():
        return folder
    try:
        from huggingface_hub.utils import HFValidationError, validate_repo_id
    except ImportError as error:
        raise MissingModelError(f"checkpoints of your own need the optional packages: {EXTRA}") from error
    name, _, revision = path_or_id.partition("@")
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise MissingModelError(
            f"{path_or_id!r} is neither a folder here nor a name on the Hugging Face Hub"
        ) from error
    if "/" not in name:
        raise MissingModelError(
            f"{path_or_id!r} is no folder here; a name on the Hugging Face Hub reads organisation/model"
        )
    return _downloaded(name, revision or None)


def _downloaded(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    kept = _kept(name, revision)
    if kept is not None:
        return kept
    try:
        _check_size(name, revision)
        return Path(snapshot_download(name, revision=revision, allow_patterns=FILES))
    except GatedRepoError as error:
        raise MissingModelError(
            f"{name} asks for an agreement on its page and for your login (hf auth login)"
        ) from error
    except RepositoryNotFoundError as error:
        raise MissingModelError(f"the Hugging Face Hub has no public model {name!r}") from error
    except HeadlightError:
        raise
    except Exception as error:  # the hub's errors and its HTTP client's have no common base
        raise MissingModelError(
            f"{name} could not be downloaded ({type(error).__name__}); is there a network?"
        ) from error


def _kept(name: str, revision: str | None) -> Path | None:
    """The downloaded folder if it is complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=FILES, local_files_only=True))
        checks.check(folder)
    except (LocalEntryNotFoundError, HeadlightError, OSError):
        return None
    return folder


def _check_size(name: str, revision: str | None) -> None:
    from huggingface_hub import HfApi

    info = HfApi().model_info(name, revision=revision, files_metadata=True)
    sizes = [file.size or 0 for file in info.siblings or [] if file.rfilename.endswith(".safetensors")]
    if not sizes:
        raise UnsupportedModelError(f"{name} has no safetensors weights; other formats may run code when they are read")
    if sum(sizes) > 4 * checks.max_parameters():
        raise UnsupportedModelError(
            f"{name} has {sum(sizes) / 1e9:.1f} GB of weights; {4 * checks.max_parameters() / 1e9:.1f} GB are the limit "
            "here (HEADLIGHT_MAX_PARAMETERS x 4 bytes)"
        )
