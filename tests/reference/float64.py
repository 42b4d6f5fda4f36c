"""`transformers` in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from unittest.mock import patch

import torch
from transformers import modeling_rope_utils
from transformers.models.bert import modeling_bert
from transformers.models.deepseek_v2 import modeling_deepseek_v2
from transformers.models.deepseek_v3 import modeling_deepseek_v3
from transformers.models.llama import modeling_llama


class _WideTorch(ModuleType):
    """torch, except that its names for single precision mean double precision."""

    def __getattr__(self, name: str) -> object:
        return torch.float64 if name in ("float", "float32") else getattr(torch, name)


@contextmanager
def float64_oracle(*others: ModuleType) -> Iterator[None]:
    """Inside, BERT, Llama and DeepSeek of `transformers` may be built and run in float64 all the way; so may `others`.

    Left alone, they cast norms, rotary angles and softmax to float32 even in a float64 model, which hides everything
    below 1e-6. Here the name `torch` of their modules is replaced by one whose float32 is float64, Tensor.float by
    Tensor.double, and the default for new tensors is float64. Building counts as well: the rotary frequencies are made then.
    """
    wide = _WideTorch("torch")
    modules = (modeling_llama, modeling_bert, modeling_deepseek_v2, modeling_deepseek_v3, modeling_rope_utils)
    modules += tuple(module for module in others if module not in modules)
    patches = [patch.object(module, "torch", wide) for module in modules]
    patches.append(patch.object(torch.Tensor, "float", torch.Tensor.double))
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    for each in patches:
        each.start()
    try:
        yield
    finally:
        torch.set_default_dtype(default)
        for each in reversed(patches):
            each.stop()
