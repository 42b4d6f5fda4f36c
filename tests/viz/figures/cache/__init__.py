"""Tests of viz/figures/cache."""
