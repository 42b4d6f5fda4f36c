"""Position encodings, one a file; this room imports torch and nothing of the user interface."""

from headlight.core.positions.alibi import ALiBi
from headlight.core.positions.base import Position
from headlight.core.positions.learned import Learned
from headlight.core.positions.rope import RoPE
from headlight.core.positions.sinusoidal import Sinusoidal

__all__ = ["ALiBi", "Learned", "Position", "RoPE", "Sinusoidal"]
