"""Tests of training/measures."""
