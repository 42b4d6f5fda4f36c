"""Tests of viz/pages/learn."""
