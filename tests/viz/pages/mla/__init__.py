"""Tests of viz/pages/mla."""
