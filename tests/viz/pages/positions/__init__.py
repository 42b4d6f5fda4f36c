"""Tests of viz/pages/positions."""
