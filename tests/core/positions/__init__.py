"""Tests of core/positions."""
