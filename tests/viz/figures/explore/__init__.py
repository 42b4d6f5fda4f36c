"""Tests of viz/figures/explore."""
