"""Tests of training/text."""
