"""Figures of one run: the map of a head, all heads, how a weight came to be."""
