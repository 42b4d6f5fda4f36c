"""Position encodings, one a file; this room imports torch and nothing of the user interface."""

from core.positions.base import Position
from core.positions.learned import Learned
from core.positions.rope import RoPE

__all__ = ["Learned", "Position", "RoPE"]
