"""The package as others install it, and the command that comes with it."""
