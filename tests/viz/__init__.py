"""Tests of viz/: figures hold what was computed, and no text can become markup."""
