"""Surgery's numbers as files: a head before and after, the curves, and a converted layer to compute with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from jaxtyping import Bool, Float
from safetensors.torch import save
from torch import Tensor

from headlight.core.export.layer import cell
from headlight.core.export.table import sheet
from headlight.core.surgery.base import Conversion, Converted
from headlight.core.types import Tokens

Row = tuple[str, int, int, int, float, bool]


def weights_csv(
    tokens: Tokens, before: Float[Tensor, "seq seq"], after: Float[Tensor, "seq seq"], mask: Bool[Tensor, "seq seq"]
) -> str:
    """One head's weights before and after and their difference, a row a cell that may be looked at; who looks first."""
    names = [cell(piece) for piece in tokens.pieces]
    rows = (
        [query, key, names[query], names[key], f"{b:.7g}", f"{a:.7g}", f"{a - b:.7g}"]
        for query, (row, other) in enumerate(zip(before.double().tolist(), after.double().tolist(), strict=True))
        for key, (b, a) in enumerate(zip(row, other, strict=True))
        if mask[query, key]
    )
    return sheet(["query", "key", "query token", "key token", "before", "after", "after minus before"], rows)


def curve_csv(rows: Sequence[Row], measure: str) -> str:
    """One row per point: method, setting, values per token per layer, bytes per token in half precision, measure, exact."""
    headings = ["method", "setting", "values per token per layer", "bytes per token, half precision", measure, "exact"]
    return sheet(headings, ([*point, f"{value:.7g}", "yes" if exact else "no"] for *point, value, exact in rows))


def layer_safetensors(model: str, layer: int, conversion: Conversion, setting: int, converted: Converted) -> bytes:
    """The parameters of a converted layer; where they are from, the attention and its sizes as metadata."""
    own = {name: converted.params[name].contiguous().cpu() for name in converted.attention.shapes()}
    about = {
        "model": model, "layer": layer, "conversion": repr(conversion), "source": conversion.source, "setting": setting,
        "attention": type(converted.attention).__name__, "sizes": asdict(converted.attention),
    }  # fmt: skip
    return bytes(save(own, metadata={"headlight": json.dumps(about)}))
