"""Tests of core.surgery."""
