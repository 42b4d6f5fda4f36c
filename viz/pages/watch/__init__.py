"""The page Watch it think."""
