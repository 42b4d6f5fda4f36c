"""Tests of viz/pages."""
