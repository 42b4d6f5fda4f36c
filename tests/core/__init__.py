"""Tests of core/: laws, identities and refusals, on small random weights and on the trained models."""
