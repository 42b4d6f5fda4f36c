"""Attention variants, position encodings and trained models as plain torch; imports nothing of the user interface."""

from core.engine import load_model
from core.model import run

__all__ = ["load_model", "run"]
