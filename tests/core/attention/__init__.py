"""Tests of core/attention."""
