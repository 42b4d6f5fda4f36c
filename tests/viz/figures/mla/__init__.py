"""Tests of viz/figures/mla."""
