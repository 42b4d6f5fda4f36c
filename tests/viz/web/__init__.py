"""The web around the pages."""
