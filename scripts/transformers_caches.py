"""What transformers' own classes say of a KV cache: their defaults, and the cache that each builds on the meta device.

    python scripts/transformers_caches.py configs build/configs.jsonl
    python scripts/transformers_caches.py caches build/caches.jsonl

configs: one line a model type, its default configuration, and which fields follow from others (found by changing those).
caches: one line for each class that generates text, the layers of its cache after some tokens. It takes long, so lines that are
there are kept: delete the file to begin anew. scripts/class_tables.py makes of both what the repository holds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

TOKENS, SECONDS = 300, 60
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_decoder_layers")
SCALED = ("num_attention_heads", "n_head", "n_heads", "num_heads", "hidden_size", "n_embd", "d_model", "dim")
DEPTHS = (3, 4, 5, 7, 8, 12, 13, 24, 26, 31, 48, 62)


def main(what: str, path: Path) -> None:
    """Lines for the model types that have none yet."""
    there = {json.loads(line)["model_type"] for line in path.read_text().splitlines()} if path.exists() else set()
    every, about = (sorted(CONFIG_MAPPING_NAMES), of_config) if what == "configs" else (generating(), of_cache)
    for model_type in [name for name in every if name not in there]:
        with path.open("a") as file:
            line = {"model_type": model_type} | told(about, model_type)
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def generating() -> list[str]:
    """The model types that generate text, some from pictures, too."""
    from transformers.models.auto import modeling_auto as auto

    return sorted({*auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES})


def told(about: Callable[[str], dict[str, Any]], model_type: str) -> dict[str, Any]:
    """What is found out, or why it could not be, under "error"."""
    try:
        with limited():
            return about(model_type)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"}


def of_config(model_type: str) -> dict[str, Any]:
    """A class's defaults."""
    kind = CONFIG_MAPPING[model_type]
    config = kind()
    about = {"properties": properties(config)} if "layer_types" not in config.to_dict() else {}
    return about | {"config": plain(config), "text": text_part(config), "follows": follows(kind), "lists": lists(kind)}


@contextmanager
def limited() -> Iterator[None]:
    """A TimeoutError after SECONDS of computing time."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} seconds")

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def plain(config: Any) -> dict[str, Any]:
    """The file that the configuration would be saved as, class labels left out."""
    values = json.loads(json.dumps(config.to_dict(), default=str))
    return without_labels(values)


def properties(config: Any) -> dict[str, Any]:
    """layer_types where the class makes it from other fields and saves none."""
    text = config.get_text_config(decoder=True)
    value = getattr(config, "layer_types", None) if text is config else None
    return {"layer_types": list(value)} if value else {}


def without_labels(value: Any) -> Any:
    """Without the tables of classes, which have thousands of entries."""
    if isinstance(value, dict):
        return {
            k: without_labels(v) for k, v in value.items() if k not in ("id2label", "label2id", "transformers_version")
        }
    return value


def text_part(config: Any) -> list[str] | None:
    """The name and the model type of the part that generates text, None where it is the configuration itself."""
    text = config.get_text_config(decoder=True)
    if text is config:
        return None
    for name in config.sub_configs:
        part = getattr(config, name, None)
        if part is text:
            return [name, part.model_type]
        if part is not None and getattr(part, "get_text_config", None) and part.get_text_config(decoder=True) is text:
            return [name, part.model_type]
    return ["", text.model_type]


def follows(kind: type) -> list[str]:
    """Fields whose value is another one where heads or width are doubled: their default is no constant."""
    base, changed = kind().to_dict(), set()
    for name in [name for name in SCALED if isinstance(base.get(name), int)]:
        try:
            other = kind(**{name: 2 * base[name]}).to_dict()
        except Exception:
            continue
        changed |= {field for field in base if field != name and other.get(field) != base[field]}
    return sorted(changed)


def lists(kind: type) -> dict[str, dict[str, Any]]:
    """field -> depth -> value: what follows from the number of layers."""
    base = kind().to_dict()
    depth = next((name for name in LAYERS if isinstance(base.get(name), int)), None)
    found: dict[str, dict[str, Any]] = {}
    for n in DEPTHS if depth else ():
        try:
            other = kind(**{depth: n}).to_dict()
        except Exception:
            continue
        for field, value in other.items():
            if field != depth and value != base.get(field) and not isinstance(value, dict):
                found.setdefault(field, {})[str(n)] = json.loads(json.dumps(value, default=str))
    return found


def of_cache(model_type: str) -> dict[str, Any]:
    """The cache's layers after TOKENS tokens on the meta device."""
    import torch
    import transformers as t
    from transformers.models.auto import modeling_auto as auto

    t.logging.set_verbosity_error()
    config = CONFIG_MAPPING[model_type]()
    config._experts_implementation = "batched_mm"  # the one whose shapes do not depend on the data
    config.get_text_config(decoder=True)._experts_implementation = "batched_mm"
    causal = model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    make = t.AutoModelForCausalLM if causal else t.AutoModelForImageTextToText
    with torch.device("meta"), torch.inference_mode():
        model = make.from_config(config, attn_implementation="eager").eval()
        cache = getattr(model.to("meta")(input_ids=ids(TOKENS), use_cache=True), "past_key_values", None)
    cache = getattr(cache, "self_attention_cache", cache)
    return {"kind": type(cache).__name__, "layers": [layer_of(layer) for layer in getattr(cache, "layers", [])]}


def ids(tokens: int) -> Any:
    """Tokens without values."""
    import torch

    return torch.zeros(1, tokens, dtype=torch.long, device="meta")


def layer_of(layer: Any) -> dict[str, Any]:
    """A layer's class, window, and the shapes of its tensors."""
    about: dict[str, Any] = {"class": type(layer).__name__}
    for name, value in vars(layer).items():
        if name in ("sliding_window", "max_cache_len") and value is not None:
            about[name] = int(value)
        shapes = shapes_of(value)
        if shapes:
            about[name] = shapes
    if "keys" in about and getattr(layer, "keys", None) is getattr(layer, "values", 0):
        about["one"] = True
    return about


def shapes_of(value: Any) -> Any:
    """The shape of a tensor, or of each in a list or dict; None for anything else."""
    if hasattr(value, "shape"):
        return [*value.shape] if len(value.shape) > 1 else None
    if isinstance(value, dict):
        return {str(k): s for k, v in value.items() if (s := shapes_of(v))} or None
    if isinstance(value, list | tuple):
        return [s for v in value if (s := shapes_of(v))] or None
    return None


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
