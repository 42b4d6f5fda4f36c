"""Where a forward pass is computed: one small interface, and a file for each way there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.compute.base import Compute, never
from core.compute.in_process import InProcess

__all__ = ["COMPUTES", "Compute", "InProcess", "never"]

COMPUTES: Mapping[str, Callable[[], Compute]] = {"in-process": InProcess}
