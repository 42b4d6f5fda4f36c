"""Tests of viz/figures/positions."""
