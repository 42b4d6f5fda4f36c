"""Position encodings, one a file; this room imports torch and nothing of the user interface."""

from core.positions.alibi import ALiBi
from core.positions.base import Position
from core.positions.learned import Learned
from core.positions.rope import RoPE
from core.positions.sinusoidal import Sinusoidal

__all__ = ["ALiBi", "Learned", "Position", "RoPE", "Sinusoidal"]
