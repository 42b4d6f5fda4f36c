"""Headlight: what each attention head of a transformer looks at, what that does to the answer, and what it costs to remember.

>>> import headlight as hl
>>> result = hl.run(hl.load_model("minilm"), "The animal was too tired.")
>>> figure = hl.head_map(result, layer=3, head=1)

load_model     a model by name (the names are the keys of MODELS), or a checkpoint of your own
run            one text through it: a Run, whose layers hold weights and every step to them; its text is Tokens
continue_text  tokens one by one, with the real cache
kv_cache       what a model's KV cache takes, from its config.json or its name, per GPU and as engines reserve it
Gpu            one GPU with its memory, for kv_cache
head_map       one head's weights as a Plotly figure
HeadlightError what all of these raise where something is refused

More is in headlight.core (numbers) and headlight.viz.figures (figures).
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headlight.core.decoding import continue_text
    from headlight.core.errors import HeadlightError
    from headlight.core.loading import load_model
    from headlight.core.memory.engines.answer import Gpu, kv_cache
    from headlight.core.model import run
    from headlight.core.registry import MODELS
    from headlight.core.types import Run, Tokens
    from headlight.viz.figures import head_map

    __version__: str

__all__ = [
    "MODELS",
    "Gpu",
    "HeadlightError",
    "Run",
    "Tokens",
    "__version__",
    "continue_text",
    "head_map",
    "kv_cache",
    "load_model",
    "run",
]

# In a checkout core/ and viz/ lie beside this folder, once installed inside it; they have one name in both.
_HERE = Path(__file__).resolve().parent
if not (_HERE / "core").exists():
    __path__.append(str(_HERE.parent))

# Torch takes seconds to import; a server that wants headlight.core.serving.metrics alone answers before that.
_HOMES = {
    "MODELS": "headlight.core.registry",
    "Gpu": "headlight.core.memory.engines.answer",
    "HeadlightError": "headlight.core.errors",
    "Run": "headlight.core.types",
    "Tokens": "headlight.core.types",
    "continue_text": "headlight.core.decoding",
    "head_map": "headlight.viz.figures",
    "kv_cache": "headlight.core.memory.engines.answer",
    "load_model": "headlight.core.loading",
    "run": "headlight.core.model",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("headlight.core.serving.version").version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
