"""Tests of viz/pages/quality."""
