"""Figures of position encodings: curves, maps, dials, pairings."""
