"""Figures that set models side by side: maps, quality against cache, surgery."""
