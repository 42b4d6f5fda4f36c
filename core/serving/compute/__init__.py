"""Where a forward pass is computed: one small interface, and a file for each way there is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from headlight.core.errors import ConfigError
from headlight.core.serving.compute.base import Compute
from headlight.core.serving.compute.in_process import InProcess
from headlight.core.serving.compute.served import Served

__all__ = ["COMPUTES", "Compute", "InProcess", "Served", "from_environment"]

COMPUTES: Mapping[str, Callable[[], Compute]] = {"in-process": InProcess, "ray": Served.from_environment}


def from_environment() -> Compute:
    """The one that HEADLIGHT_ENGINE names, in this process if it names none; raises ConfigError for another name."""
    name = os.environ.get("HEADLIGHT_ENGINE", "") or "in-process"
    if name not in COMPUTES:
        raise ConfigError(f"HEADLIGHT_ENGINE ({name!r}) must be one of {', '.join(COMPUTES)}")
    return COMPUTES[name]()
