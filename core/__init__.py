"""Attention variants, position encodings and trained models as plain torch; imports nothing of the user interface."""

from pathlib import Path

_ABOVE = Path(__file__).resolve().parents[1]  # the checkout, or the installed package
ASSETS = _ABOVE / "assets"  # trained weights, texts, tables
# app.py, .streamlit, VERSION and requirements-models.txt: the top of a checkout, a folder of its own once installed (setup.py).
TOP = _ABOVE / "top" if (_ABOVE / "top").is_dir() else _ABOVE
