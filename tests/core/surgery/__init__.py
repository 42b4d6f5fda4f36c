"""Tests of headlight.core.surgery."""
