"""Which layers have an indexer (DeepSeek Sparse Attention), whose keys are kept beside the cache."""

from __future__ import annotations

from headlight.core.errors import ConfigError
from headlight.core.memory.bounds import MAX_LAYERS, MAX_WIDTH
from headlight.core.memory.config.fields import Fields
from headlight.core.memory.config.layers.lists import numbers

_WIDTH = ("index_head_dim", "indexer_head_dim", "index_dim")
_INDEXED = ("indexed_attention", "deepseek_sparse_attention", "qwen_sparse_attention", "minimax_m3_sparse")
_LISTS = ("indexer_layers", "indexer_layer_ids", "index_source_layer_ids", "index_layers", "dsa_layers")


def indexer(fields: Fields, n_layers: int) -> tuple[int, int]:
    """Values that an indexer keeps a token, and how many layers have one; (0, 0) without.

    GLM-5.2 says so three ways: indexer_types ("full" has one, "shared" uses the choice of the layer below), a pattern of F and
    S, or every index_topk_freq-th layer from index_skip_topk_offset on. Raises ConfigError for a list of another length.
    """
    width = fields.whole(_WIDTH, MAX_WIDTH, least=0) or 0
    heads = fields.whole(["indexer_kv_heads"], MAX_WIDTH) or 1
    return (width * heads, _many(fields, n_layers)) if width else (0, 0)


def _many(fields: Fields, n_layers: int) -> int:
    said = fields.get("indexer_types", "index_topk_pattern")
    step = fields.whole(["index_topk_freq"], MAX_LAYERS) or 1
    offset = fields.whole(["index_skip_topk_offset"], MAX_LAYERS, least=0)
    if isinstance(said, list | str):
        if len(said) < n_layers:
            raise ConfigError(f"the indexers' list has {len(said):,} entries for {n_layers:,} layers")
        return sum(str(entry)[:1].lower() == "f" for entry in said[:n_layers])
    kinds = fields.values.get("layer_types")
    if isinstance(kinds, list) and len(kinds) >= n_layers and any(kind in _INDEXED for kind in kinds):
        return sum(kind in _INDEXED for kind in kinds[:n_layers])
    for name in _LISTS:
        if isinstance(fields.values.get(name), list):
            return len(numbers(fields, name, n_layers))
    first = 2 if offset is None else offset
    return sum(max(i - first + 1, 0) % step == 0 for i in range(n_layers))
