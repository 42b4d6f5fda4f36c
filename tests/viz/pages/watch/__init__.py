"""Tests of viz/pages/watch."""
