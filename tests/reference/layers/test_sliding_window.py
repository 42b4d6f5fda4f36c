"""Our windowed grouped-query attention against `transformers`' Mistral layer, its masks and its sliding cache, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import MistralConfig
from transformers.masking_utils import create_sliding_window_causal_mask
from transformers.models.mistral import modeling_mistral

from headlight.core.attention import GQA
from headlight.core.cache import DecodingCache, KVCache
from headlight.core.positions import RoPE
from tests.core.attention.windows import windowed
from tests.core.variants import random
from tests.reference.layers.both import Oracle, read_both, same
from tests.threads import one_thread

LENGTH, D_MODEL, THETA = 29, 42, 1_000.0
ATTENTION, POSITION = GQA(D_MODEL, 6, 10, n_kv_heads=2), RoPE(10, theta=THETA)


def mistral(width: int) -> tuple[MistralConfig, Oracle]:
    config = MistralConfig(
        hidden_size=D_MODEL, num_attention_heads=6, num_key_value_heads=2, head_dim=10, num_hidden_layers=1,
        sliding_window=width, rope_parameters={"rope_type": "default", "rope_theta": THETA},
    )  # fmt: skip
    theirs = Oracle(
        lambda c: modeling_mistral.MistralAttention(c, 0), config, modeling_mistral,
        rotary=modeling_mistral.MistralRotaryEmbedding,
    )  # fmt: skip
    return config, theirs


@pytest.mark.parametrize("width", [2, 7, 28, 29, 31])
def test_a_window_over_a_whole_text_is_mistrals(width: int) -> None:
    config, theirs = mistral(width)
    x = random(LENGTH, D_MODEL, seed=99)
    mask = create_sliding_window_causal_mask(config, x[None], None, None, position_ids=torch.arange(LENGTH)[None])
    theirs._mask = lambda q_len, kv_len: mask.double()
    read_both(windowed(ATTENTION, width), POSITION, theirs.params, theirs, x, (LENGTH,))


@pytest.mark.parametrize("sizes", [(1,) * LENGTH, (11, 1, 1, 9, 1, 6), (3, 1, 25)], ids=str)
@pytest.mark.parametrize("width", [2, 7, 30])
@one_thread()
def test_decoding_past_the_window_is_mistrals_which_keeps_one_token_less(width: int, sizes: tuple[int, ...]) -> None:
    config, theirs = mistral(width)
    attention, x = windowed(ATTENTION, width), random(LENGTH, D_MODEL, seed=99)
    kept, buffers, end = KVCache(), DecodingCache(2), 0
    for size in sizes:
        begin, end = end, end + size
        new, places = x[begin:end], torch.arange(begin, end)[None]
        mask = create_sliding_window_causal_mask(config, new[None], None, theirs.cache, position_ids=places)
        theirs._mask = lambda q_len, kv_len, mask=mask: None if mask is None else mask.double()
        out, weights = theirs.read(new, begin)
        trace = attention.attend(new, theirs.params, POSITION, kept)
        kept = trace.cache
        same(trace.out, out)
        same(attention.step(new, theirs.params, POSITION, buffers), out)
        # Their cache has dropped the oldest tokens; ours keeps them all, at weight 0.
        same(trace.weights[..., end - weights.shape[-1] :], weights)
        assert not bool(trace.weights[..., : end - weights.shape[-1]].any())
        same(_newest(kept.tensors["k"], width - 1), theirs.kept()[0])
        same(_newest(kept.tensors["v"], width - 1), theirs.kept()[1])
    assert end == LENGTH == kept.length


def _newest(t: Tensor, count: int) -> Tensor:
    return t[:, max(t.shape[1] - count, 0) :]
