"""Tests of viz/pages/cache."""
