"""Layers of our variants against those of transformers, on the same weights."""
