"""Tests of core/measured."""
