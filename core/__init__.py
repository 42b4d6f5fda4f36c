"""Attention variants, position encodings and trained models as plain torch; imports nothing of the user interface."""

from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "assets"  # trained weights, texts, tables
