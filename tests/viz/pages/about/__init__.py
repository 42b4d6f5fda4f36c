"""Tests of viz/pages/about."""
