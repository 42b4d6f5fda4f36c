"""Figures of the KV cache: bytes, what fits, what decoding costs."""
