"""What goes between the app and its computing servers: JSON for what is asked, JSON and safetensors for what comes back.

No pickle on this way. Tensors arrive bit for bit; the encoding, the parameters and the head are not sent, as both have them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from headlight.core.errors import ComputeError, HeadlightError
from headlight.core.model import Model
from headlight.core.serving.compute.flat import flatten, unflatten
from headlight.core.types import Run, Tokens, Traces

_LENGTH = struct.Struct("<Q")


def pack(meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """The length of the JSON (8 bytes, little-endian), the JSON, the tensors as a safetensors file."""
    told = json.dumps(meta).encode()
    plain = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    return _LENGTH.pack(len(told)) + told + save(plain)


def unpack(body: bytes) -> tuple[Any, dict[str, Tensor]]:
    """The inverse of `pack`; raises ComputeError for what is none of it."""
    try:
        end = _LENGTH.size + _LENGTH.unpack_from(body)[0]
        return json.loads(body[_LENGTH.size : end]), load(body[end:])
    except Exception as error:  # whatever came, it is not what was asked for
        raise ComputeError("the computing servers sent an answer that nobody understands") from error


def pack_run(result: Run) -> bytes:
    """What a pass kept: each layer's tensors and the last layer's output."""
    plans: dict[int, Any] = {}
    tensors = {"hidden": result.hidden}
    for layer in result.layers:
        plans[layer], flat = flatten(result.layers.projections(layer))
        tensors |= {f"{layer}.{i}": t for i, t in enumerate(flat)}
    return pack({"plans": plans}, tensors)


def unpack_run(body: bytes, model: Model, tokens: Tokens) -> Run:
    """The run as `core.run` would have made it, with this process's parameters for the derivations."""
    meta, sent = unpack(body)
    tensors = {name: t.to(model.device) for name, t in sent.items()}
    layers = {}
    for key, plan in meta["plans"].items():
        flat = [tensors[f"{key}.{i}"] for i in range(sum(name.startswith(f"{key}.") for name in tensors))]
        layers[int(key)] = (model.attention, model.layers[int(key)], unflatten(plan, flat, model.position))
    return Run(model=model.name, tokens=tokens, layers=Traces(layers), hidden=tensors["hidden"], head=model.head)


def pack_error(error: HeadlightError) -> bytes:
    """An error of `headlight.core.errors` by its class and its words."""
    return json.dumps({"error": type(error).__name__, "message": str(error)}).encode()


def unpack_error(body: bytes) -> HeadlightError:
    """The same error; a class that `headlight.core.errors` does not have becomes a ComputeError."""
    try:
        told = json.loads(body)
        kind, message = _kinds(HeadlightError).get(told["error"], ComputeError), str(told["message"])
    except (ValueError, KeyError, TypeError):
        return ComputeError("the computing servers refused without saying why")
    return kind(message)


def _kinds(root: type[HeadlightError]) -> dict[str, type[HeadlightError]]:
    """The classes of `headlight.core.errors` by name, from one of them down."""
    found = {root.__name__: root}
    for kind in root.__subclasses__():
        found |= _kinds(kind)
    return found
