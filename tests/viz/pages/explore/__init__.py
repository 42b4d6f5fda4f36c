"""Tests of viz/pages/explore."""
