"""Attention variants, one a file; this room imports torch and nothing of the user interface."""

from headlight.core.attention.base import Attention
from headlight.core.attention.decoupled import Decoupled
from headlight.core.attention.gqa import GQA
from headlight.core.attention.latent import Latent
from headlight.core.attention.mha import MHA
from headlight.core.attention.mla import MLA
from headlight.core.attention.mqa import MQA

__all__ = ["GQA", "MHA", "MLA", "MQA", "Attention", "Decoupled", "Latent"]
