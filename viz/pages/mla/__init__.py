"""The page Inside MLA."""
