"""Tests of viz/figures/compare."""
