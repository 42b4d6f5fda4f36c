"""Tests of viz/pages/compare."""
