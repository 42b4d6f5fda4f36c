"""A cache's shape in a short text and back, for links: what is read from a config.json can be shared without the file.

`48x40.b.131072..-36:8x128x128w8192c-12:8x128x128`: 48 layers with 40 query heads in bf16, 131,072 tokens at most; 36
layers of 8 KV heads 128 wide with chunks of 8,192 tokens, and 12 without. A latent is `m512x64`, layers that keep nothing
`0`, a compressed row ends in `e4` (tokens a row) and `i128` (its indexer), layers with other query heads in `q48`; `o21` says
that 21 layers have an indexer; MLA's five numbers stand between M and the groups.
"""

from __future__ import annotations

import re

from headlight.core.errors import InputError
from headlight.core.memory.shape import CacheRow, CacheShape, Heads, Latent, LayerGroup, MLADims

_KINDS = {"f": "fp32", "h": "fp16", "b": "bf16", "e": "fp8", "i": "int8", "n": "nvfp4", "m": "mxfp4", "q": "int4"}
_HEAD = re.compile(
    r"([0-9]+)x([0-9]+)\.([fhbeinmq])\.([0-9]*)\.([0-9]*)\.([0-9]*)(?:o([0-9]+))?(?:M([0-9]+)x([0-9]+)x([0-9]+)x([0-9]+)x([0-9]+))?"
)
_GROUP = re.compile(
    r"([0-9]+):(?:m([0-9]+)x([0-9]+)|([0-9]+)x([0-9]+)x([0-9]+)|0)(?:w([0-9]+)(c?))?(?:e([0-9]+))?(?:i([0-9]+))?(?:q([0-9]+))?"
)
MOST = 4000  # characters; a model with a hundred kinds of layers has fewer


def spell(shape: CacheShape) -> str:
    """The text of a shape; its name and why layers keep nothing are not in it. Raises InputError for more kinds of layers than
    a link can hold.

    >>> from headlight.core.memory.shape import of_heads
    >>> spell(of_heads(32, n_heads=32, n_kv_heads=8, head_dim=128))
    '32x32.b...-32:8x128x128'
    >>> read_spelled(spell(of_heads(32, n_heads=32, n_kv_heads=8, head_dim=128))).groups[0].elements
    2048
    """
    kind = next((letter for letter, name in _KINDS.items() if name == shape.native), "b")
    parts = [
        f"{shape.n_layers}x{shape.n_heads}.{kind}.{shape.max_context or ''}.{shape.d_model or ''}.{shape.indexer_dim or ''}"
    ]
    parts[0] += "" if shape.indexer_layers is None else f"o{shape.indexer_layers}"
    if shape.mla:
        m = shape.mla
        parts[0] += f"M{m.kv_lora_rank}x{m.qk_nope_head_dim}x{m.qk_rope_head_dim}x{m.v_head_dim}x{m.q_lora_rank}"
    text = "-".join(parts + [_group(group) for group in shape.groups])
    if len(text) > MOST:
        raise InputError(f"this model has {len(shape.groups):,} kinds of layers, more than a link can hold")
    return text


def _group(group: LayerGroup) -> str:
    row = group.row
    if row is None:
        return f"{group.count}:0"
    widths = _widths(row)
    window = f"w{group.window}{'c' if group.chunked else ''}" if group.window else ""
    every = "" if group.counts else f"e{group.every}"
    beside = (f"i{group.indexer}" if group.indexer else "") + (f"q{group.n_heads}" if group.n_heads else "")
    return f"{group.count}:{widths}{window}{every}{beside}"


def _widths(row: CacheRow) -> str:
    # A link can be read back for heads and for MLA's latent alone.
    match row:
        case Latent():
            return f"m{row.kv_lora_rank}x{row.qk_rope_head_dim}"
        case Heads():
            return f"{row.n_kv_heads}x{row.head_dim}x{row.v_head_dim}"
    raise InputError(f"a cache of {', '.join(part.name for part in row.parts)} has no spelling in a link")


def read_spelled(text: str, name: str = "Your model") -> CacheShape:
    """The shape of such a text; raises InputError for what is none, ConfigError for what cannot be."""
    first, *groups = text.split("-") if len(text) <= MOST else [""]
    head = _HEAD.fullmatch(first)
    found = [_GROUP.fullmatch(group) for group in groups]
    if head is None or not groups or None in found:
        raise InputError("the link describes no cache")
    layers, heads, kind, context, width, indexer, indexed, *mla = head.groups()
    dims = MLADims(*map(_int, mla)) if mla[0] else None
    own = tuple(_read_group(match) for match in found if match)
    about = (
        _int(width) or None,
        _int(context) or None,
        _KINDS[kind],
        None,
        _int(indexer),
        None if indexed is None else _int(indexed),
    )
    return CacheShape(name, _int(layers), _int(heads), own, dims, *about)


def _read_group(match: re.Match[str]) -> LayerGroup:
    count, latent, rotated, heads, key, value, window, chunked, every, indexer, queries = match.groups()
    row: CacheRow | None = (
        Latent(_int(latent), _int(rotated)) if latent else Heads(_int(heads), _int(key), _int(value)) if heads else None
    )
    about = (_int(window) or None, bool(chunked), _int(every) or 1, _int(indexer), "", _int(queries), every == "1")
    return LayerGroup(_int(count), row, *about)


def _int(digits: str | None) -> int:
    # Longer numbers are beyond every limit; Python would take its time to read them.
    return int((digits or "0")[:18])
