"""Tests of training/distill."""
