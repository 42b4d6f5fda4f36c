"""The numbers of one layer as files: CSV to read, safetensors and npz to compute with; token labels in each."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
from safetensors.numpy import save

from headlight.core.export.table import sheet
from headlight.core.types import Run, Step, Tokens, Trace

_FIELDS = ("q", "k", "v", "scores", "weights", "mask", "heads")


def to_csv(result: Run, layer: int, head: int) -> str:
    """One head's weights: a row a query, a column a key, tokens as headings; masked cells empty.

    A token that a spreadsheet would take for a formula (=, +, -, @ first) is led by an apostrophe.
    """
    trace = result.layers[layer]
    names = [cell(piece) for piece in result.tokens.pieces]
    weights, mask = trace.weights[head].float().cpu().numpy(), trace.mask.cpu().numpy()
    rows = (
        [name, *(f"{w:.7g}" if a else "" for w, a in zip(row, allowed, strict=True))]
        for name, row, allowed in zip(names, weights, mask, strict=True)
    )
    return sheet(["query \\ key", *names], rows, end="\r\n")


def step_to_csv(tokens: Tokens, step: Step, head: int = 0) -> str:
    """One step of a layer's derivation: a row a token; columns are dimensions, or tokens where the step has a cell a key.

    head: which one of those that the step has, if it has any. Minus infinity is an empty cell.
    """
    names = [cell(piece) for piece in tokens.pieces]
    values = step.of_head(head).float().cpu().numpy()
    rows = (
        [name, *(f"{x:.7g}" if np.isfinite(x) else "" for x in row)] for name, row in zip(names, values, strict=True)
    )
    return sheet(["token", *(names if step.axes[-1] == "kv_len" else range(values.shape[1]))], rows, end="\r\n")


def steps_to_safetensors(model: str, layer: int, tokens: Tokens, steps: Sequence[Step]) -> bytes:
    """All steps of a derivation by their names; formulas, axes, text and pieces as metadata."""
    arrays = {step.name: step.value.contiguous().cpu().numpy() for step in steps}
    about = {
        "model": model, "layer": layer, "text": tokens.text, "pieces": tokens.pieces, "ids": tokens.ids,
        "axes": {step.name: step.axes for step in steps}, "formulas": {step.name: step.formula for step in steps},
    }  # fmt: skip
    return bytes(save(arrays, metadata={"headlight": json.dumps(about)}))


def to_safetensors(result: Run, layer: int) -> bytes:
    """Queries, keys, values, scores, weights, mask and head outputs of a layer; text, pieces and model as metadata."""
    return bytes(save(_arrays(result.layers[layer]), metadata={"headlight": json.dumps(_about(result, layer))}))


def to_npz(result: Run, layer: int) -> bytes:
    """The same arrays as numpy's own archive; `about` is the metadata as JSON text."""
    archive = io.BytesIO()
    arrays = _arrays(result.layers[layer]) | {"about": np.array(json.dumps(_about(result, layer)))}
    np.savez_compressed(archive, allow_pickle=False, **arrays)
    return archive.getvalue()


def _arrays(trace: Trace) -> dict[str, np.ndarray]:
    return {name: getattr(trace, name).contiguous().cpu().numpy() for name in _FIELDS}


def _about(result: Run, layer: int) -> dict[str, object]:
    tokens = result.tokens
    return {
        "model": result.model,
        "layer": layer,
        "text": tokens.text,
        "pieces": tokens.pieces,
        "ids": tokens.ids,
        "axes": {
            "q": ["n_heads", "q_len", "qk_head_dim"],
            "k": ["n_kv_heads", "kv_len", "qk_head_dim"],
            "v": ["n_kv_heads", "kv_len", "v_head_dim"],
            "scores": ["n_heads", "q_len", "kv_len"],
            "weights": ["n_heads", "q_len", "kv_len"],
            "mask": ["q_len", "kv_len"],
            "heads": ["n_heads", "q_len", "v_head_dim"],
        },
    }


def cell(piece: str) -> str:
    """A token for a spreadsheet: what it would take for a formula is led by an apostrophe."""
    return f"'{piece}" if piece.lstrip()[:1] in ("=", "+", "-", "@") else piece
