"""Tests of core/long."""
