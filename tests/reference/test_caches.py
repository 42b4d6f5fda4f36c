"""Bytes of caches that `transformers` really builds, for shrunken configurations: the same as ours from their config.json."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import transformers as t

from headlight.core.memory.config.hf_config import read_config
from headlight.core.memory.precision import PRECISIONS
from headlight.core.memory.shape import CacheShape
from headlight.core.memory.sizes import bytes_at
from tests.reference.caches import CONFIGS

TOKENS, STEPS = 29, 3


def cache_of(config):
    """The cache after TOKENS tokens read at once and STEPS more one by one."""
    torch.manual_seed(0)
    model = t.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    ids = torch.arange(TOKENS + STEPS)[None] % 57 + 1
    with torch.inference_mode():
        cache = model(ids[:, :TOKENS], use_cache=True).past_key_values
        for i in range(TOKENS, TOKENS + STEPS):
            cache = model(ids[:, i : i + 1], past_key_values=cache, use_cache=True).past_key_values
    return cache


def held(cache) -> int:
    """Bytes of keys, values and compressed rows, each storage once; constant states and open blocks are no growing cache."""
    tensors = [getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values")]
    tensors += [rows for layer in cache.layers for rows in getattr(layer, "compressed_kv", {}).values()]
    return sum(
        {tensor.data_ptr(): tensor.nbytes for tensor in tensors if tensor is not None and tensor.numel()}.values()
    )


def between_steps(shape: CacheShape) -> CacheShape:
    """Transformers keeps window - 1 tokens between steps: the next one is the window's last."""
    groups = [replace(g, window=g.window and g.window - 1) for g in shape.groups]
    return replace(shape, groups=tuple(groups))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_bytes_are_those_of_the_cache_that_transformers_builds(name: str) -> None:
    config = CONFIGS[name]()
    reading = read_config(json.dumps(config.to_dict()))
    cache = cache_of(config)
    ours = bytes_at(between_steps(reading.shape), TOKENS + STEPS, PRECISIONS["fp32"])
    assert held(cache) == ours > 0
    assert not reading.unread
    indexers = [keys.nbytes for layer in cache.layers if (keys := getattr(layer, "indexer_keys", None)) is not None]
    if indexers:
        assert sum(indexers) == len(indexers) * reading.shape.indexer_dim * (TOKENS + STEPS) * 4


def test_falcons_cache_there_holds_each_key_once_a_query_head() -> None:
    """What transformers keeps for Falcon's new architecture is repeated for all query heads; the model needs a third of it."""
    sizes = {"num_hidden_layers": 5, "num_attention_heads": 6, "hidden_size": 48, "vocab_size": 61}
    config = t.FalconConfig(**sizes, num_kv_heads=2, new_decoder_architecture=True)
    shape = read_config(json.dumps(config.to_dict())).shape
    assert held(cache_of(config)) == 3 * bytes_at(shape, TOKENS + STEPS, PRECISIONS["fp32"])
