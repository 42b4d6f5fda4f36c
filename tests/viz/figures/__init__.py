"""Tests of viz/figures."""
