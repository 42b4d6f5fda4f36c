"""The page Long texts."""
