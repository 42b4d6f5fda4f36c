"""The page Surgery."""
