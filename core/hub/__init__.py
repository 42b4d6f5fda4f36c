"""Checkpoints of one's own, carried by `transformers` (an optional extra, imported when used), looked at by our attention."""
