"""Every published figure of ours is a script here: python -m benchmarks.NAME. Never run by the tests."""
