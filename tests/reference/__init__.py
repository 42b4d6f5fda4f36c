"""Our numbers against those of `transformers` on the same files."""
