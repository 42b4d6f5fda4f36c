"""Tests of viz/pages/surgery."""
