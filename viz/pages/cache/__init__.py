"""The page KV cache."""
