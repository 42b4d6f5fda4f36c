"""The precision that a cache is kept in: the weights' own, or another that the file itself asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headlight.core.memory.config.fields import Fields
from headlight.core.memory.precision import DTYPES

# Where files ask for another precision of the cache: compressed-tensors, ModelOpt, Quark, and plain fields.
ASKING = (
    "kv_cache_scheme", "kv_cache_quant_algo", "kv_cache_dtype", "kv_cache_bits", "kv_cache_quant_method",
    "use_cache_quantization", "cache_dtype", "kv_cache_quantization", "kv_cache_torch_dtype",
)  # fmt: skip
_NAMES: Mapping[str, str] = {
    "fp8": "fp8", "fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "fp8_e4m3fn": "fp8", "e4m3": "fp8", "e5m2": "fp8", "float8": "fp8",
    "float8_e4m3fn": "fp8", "float8_e5m2": "fp8", "fp8_per_tensor": "fp8", "int8": "int8", "nvfp4": "nvfp4", "fp4": "nvfp4",
    "mxfp4": "mxfp4", "int4": "int4", "8": "int8", "4": "int4", "true": "int8", "int8_per_tensor": "int8",
    "bf16": "bf16", "fp16": "fp16", "float16": "fp16", "bfloat16": "bf16", "nvfp4_kv": "nvfp4", "fp8_kv": "fp8",
}  # fmt: skip
_OFF: tuple[Any, ...] = (None, False, "", "auto", "none", "None", "null", {}, [], 0, 16, "16")


def native(top: Fields, fields: Fields, notes: list[str]) -> str:
    """A name of `PRECISIONS`: what the file asks for its cache, else what its weights are kept in, else bf16."""
    name = str(fields.get("dtype", "torch_dtype") or "").removeprefix("torch.")
    asked = next(_asked(top.values, fields), None)
    if asked is not None:
        field, kind = asked
        if kind is not None:
            notes.append(f"The file asks for a cache in {kind} ({field}).")
            return kind
        notes.append(f"The file asks for a cache of another precision ({field}), which is not known here.")
    if name not in DTYPES:
        notes.append(
            "Its precision is not given; bf16 is taken."
            if not name
            else "Its precision is not known here; bf16 is taken."
        )
    return DTYPES.get(name, "bf16")


def _asked(values: Mapping[str, Any], fields: Fields) -> Iterator[tuple[str, str | None]]:
    """The field that asks for a precision of the cache, and which; the parts of the file as well, but for other models'."""
    left: list[tuple[int, Mapping[str, Any]]] = [(0, values), (0, fields.values)]
    while left:
        depth, inner = left.pop(0)
        for name in ASKING:
            if name in inner and inner[name] not in _OFF:
                yield name, _named(inner[name])
        if depth < 3:
            left += [
                (depth + 1, v)
                for k, v in inner.items()
                if isinstance(v, dict) and ("quant" in k or k.endswith("text_config"))
            ]


def _named(value: Any) -> str | None:
    """The precision that a scheme describes; None for one that is not known."""
    if not isinstance(value, dict):
        return _NAMES.get(str(value).lower().removeprefix("torch."))
    bits, kind = str(value.get("num_bits")), str(value.get("type", "float")).lower()
    if value.get("dtype") is not None:
        return _NAMES.get(str(value["dtype"]).lower())
    return {("8", "float"): "fp8", ("8", "int"): "int8", ("4", "float"): "nvfp4", ("4", "int"): "int4"}.get(
        (bits, kind)
    )
