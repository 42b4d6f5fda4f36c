"""Tests of viz/pages/long."""
