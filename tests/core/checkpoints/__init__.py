"""Tests of core/checkpoints."""
