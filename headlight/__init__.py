"""Headlight: what each attention head of a transformer looks at, what that does to the answer, and what it costs to remember.

>>> import headlight as hl
>>> result = hl.run(hl.load_model("minilm"), "The animal was too tired.")
>>> figure = hl.head_map(result, layer=3, head=1)
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headlight.core.decoding import continue_text
    from headlight.core.loading import load_model
    from headlight.core.model import run
    from headlight.viz.figures import head_map

__all__ = ["continue_text", "head_map", "load_model", "run"]

# In a checkout core/ and viz/ lie beside this folder, once installed inside it; they have one name in both.
_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "core" / "__init__.py").exists() and (_CHECKOUT / "pyproject.toml").exists():
    __path__.append(str(_CHECKOUT))

# Torch takes seconds to import; a server that wants headlight.core.serving.metrics alone answers before that.
_HOMES = {
    "continue_text": "headlight.core.decoding",
    "head_map": "headlight.viz.figures",
    "load_model": "headlight.core.loading",
    "run": "headlight.core.model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
