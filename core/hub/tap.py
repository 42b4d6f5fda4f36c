"""Our attention inside `transformers`: a function registered in its attention interface, and a mask function beside it.

`transformers` makes q, k and v (norms, RoPE, cache, MLA's expansion: all its own) and calls the registered function,
which runs fused attention and keeps q, k and v where somebody is listening. What it does not understand, it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from headlight.core.errors import UnsupportedModelError
from headlight.core.hub.captured_call import CapturedCall

NAME = "headlight"
Listener = Callable[[nn.Module, CapturedCall], None]

# Arguments that change nothing here: a window or sparse choice is in the mask already, the others are for training or
# for kernels that are not used.
_HARMLESS = {
    "cache", "cache_position", "cu_seq_lens_k", "cu_seq_lens_q", "deterministic", "dropout", "indices", "max_length_k",
    "max_length_q", "output_attentions", "output_hidden_states", "position_ids", "return_dict", "sliding_window",
    "use_cache", "is_first_iteration", "logits_to_keep",
}  # fmt: skip
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def register() -> None:
    """Makes `attn_implementation="headlight"` known to `transformers`."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Every attention call of the models run inside is told to `listener`, in order."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None,
    scaling: float | None = None, softcap: float | None = None, s_aux: Tensor | None = None,
    position_bias: Tensor | None = None, is_causal: bool | None = None, **others: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """The attention function in `transformers`' own shapes: query (1, n_heads, q_len, qk_head_dim) -> (1, q_len, n_heads,
    v_head_dim). Raises UnsupportedModelError for a rule that it does not know."""
    strange = sorted(name for name, value in others.items() if value is not None and name not in _HARMLESS)
    if strange:
        raise UnsupportedModelError(f"its attention follows a rule that Headlight does not know: {', '.join(strange)}")
    causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    mask, bias = _split_mask(attention_mask, position_bias)
    call = CapturedCall(
        q=query[0], k=key[0], v=value[0], scale=query.shape[-1] ** -0.5 if scaling is None else float(scaling),
        mask=mask, causal=causal and attention_mask is None and query.shape[2] > 1, bias=bias, softcap=softcap,
        sinks=s_aux,
    )  # fmt: skip
    listener = _listener.get()
    if listener is not None:
        listener(module, call)
    return call.fused()[None].transpose(1, 2).contiguous(), None


def _split_mask(mask: Tensor | None, bias: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """(1, heads or 1, q_len, kv_len), boolean or to be added, as what may be seen and what is added."""
    added = None if bias is None else bias[0]
    if mask is None:
        return None, added
    if mask.dtype != torch.bool:
        allowed = mask > torch.finfo(mask.dtype).min / 2
        rest = mask[0].masked_fill(~allowed[0], 0)
        if bool(rest.any()):
            added = rest if added is None else added + rest
        mask = allowed
    if mask.shape[1] > 1 and not bool((mask == mask[:, :1]).all()):
        raise UnsupportedModelError("its heads may see different tokens, which a map a layer cannot show")
    return mask[0, 0], added
