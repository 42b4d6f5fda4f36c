"""Attention variants, one a file; this room imports torch and nothing of the user interface."""

from core.attention.base import Attention
from core.attention.decoupled import Decoupled
from core.attention.gqa import GQA
from core.attention.latent import Latent
from core.attention.mha import MHA
from core.attention.mla import MLA
from core.attention.mqa import MQA

__all__ = ["GQA", "MHA", "MLA", "MQA", "Attention", "Decoupled", "Latent"]
