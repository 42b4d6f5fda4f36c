"""Attention variants, position encodings and trained models as plain torch; imports nothing of the user interface."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.engine import load_model
    from core.model import run

__all__ = ["load_model", "run"]


def __getattr__(name: str) -> Any:
    # Torch takes seconds to import; a server that wants core.metrics alone answers before that.
    if name == "load_model":
        from core.engine import load_model

        return load_model
    if name == "run":
        from core.model import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
